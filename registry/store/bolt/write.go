package bolt

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/berth-host/berth/registry/store"
)

// Limits of one transaction that several callers share.
const (
	maxBatch      = 1024     // calls
	maxBatchBytes = 32 << 20 // of values
)

// A write is one caller's part of a transaction. do fails before its first
// change or not at all, apart from damage, and may run several times.
type write struct {
	ctx  context.Context
	size int
	do   func(*batch) error
	err  error
	done chan struct{} // closed when err stands
}

// A queue holds the writes that wait for a transaction. While one is synced to
// disk, the callers that come meanwhile gather here and then share the next:
// a lone caller waits for nobody, and many pay for one fsync together.
type queue struct {
	waiting chan *write
	turn    chan struct{} // holds one token: whoever has it writes for all
}

func (q *queue) init() {
	q.waiting = make(chan *write, maxBatch)
	q.turn = make(chan struct{}, 1)
}

// take returns the next writes that fit in one transaction.
func (q *queue) take() []*write {
	var writes []*write
	for bytes := 0; len(writes) < maxBatch && bytes < maxBatchBytes; {
		select {
		case w := <-q.waiting:
			writes = append(writes, w)
			bytes += w.size
		default:
			return writes
		}
	}
	return writes
}

// update runs do in a transaction and returns when that is durable. size is
// about how many bytes do will write.
func (s *Store) update(ctx context.Context, size int, do func(*batch) error) error {
	if err := s.calls.begin(ctx); err != nil {
		return err
	}
	defer s.calls.done()
	w := &write{ctx: ctx, size: size, do: do, done: make(chan struct{})}
	s.queue.waiting <- w // when full, whoever writes next makes room
	for {
		select {
		case <-w.done:
			return w.err
		case s.queue.turn <- struct{}{}:
			writes := s.queue.take() // empty, if w was done at the last turn
			s.commit(writes)
			for _, w := range writes {
				close(w.done)
			}
			<-s.queue.turn
		}
	}
}

// commit carries out writes in one transaction and sets their errors. One that
// meets damage is left out and the others are tried again.
func (s *Store) commit(writes []*write) {
	for len(writes) > 0 {
		var damaged *write
		err := s.checkPoison()
		if err == nil {
			damaged, err = s.transact(writes)
		}
		if damaged == nil {
			for _, w := range writes {
				if err != nil {
					w.err = err
				}
			}
			return
		}
		var rest []*write
		for _, w := range writes {
			if w != damaged {
				rest = append(rest, w)
			}
		}
		writes = rest
	}
}

// transact runs writes in one transaction. If one meets damage, nothing is
// written and it is returned; any other error is everyone's.
func (s *Store) transact(writes []*write) (damaged *write, err error) {
	b := &batch{}
	err = guarded(func() (err error) {
		if b.tx, err = s.db.Begin(true); err == nil {
			b.before, err = readState(b.tx)
		}
		return err
	})
	if b.tx != nil {
		defer guarded(b.tx.Rollback) // after a panic, too, bbolt must unlock
	}
	if err != nil {
		return nil, err
	}
	b.state = b.before
	for _, w := range writes {
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		w.err = guarded(func() error { return w.do(b) })
		if errors.Is(w.err, store.ErrCorrupt) {
			return w, nil
		}
	}
	if b.state == b.before {
		return nil, nil // nobody changed anything
	}
	if err := s.commitTx(b); err != nil {
		return nil, s.poison(err)
	}
	if b.events {
		s.changed.wake()
	}
	return nil, nil
}

func (s *Store) commitTx(b *batch) error {
	if err := s.allow(stepCommit); err != nil {
		return err
	}
	err := guarded(func() error {
		if err := b.compact(); err != nil {
			return err
		}
		if err := b.tx.Bucket(metaBucket).Put(stateKey, b.state.record()); err != nil {
			return err
		}
		return b.tx.Commit()
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", databaseName, err)
	}
	return s.allow(stepCommitted)
}

// A batch is a transaction with what changed in it.
type batch struct {
	tx     *bbolt.Tx
	before state
	state  state
	events bool
}

// next returns the revision of a change.
func (b *batch) next() uint64 {
	b.state.revision++
	return b.state.revision
}
