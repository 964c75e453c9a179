package server

import (
	"context"

	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/store/memory"
)

// maxGathered is how much of what a migration writes waits in memory, in bytes.
const maxGathered = 16 << 20

// gathered is a copy of data that one guest migrates. What it writes waits in
// memory, so that many entries are made durable at a time, and goes to the copy
// when there is much of it. An entry that went there has another revision, as
// if somebody else had written it.
type gathered struct {
	data.Overlay
	most, waiting int // bytes
}

func gather(to data.Namespace, most int) *gathered {
	return &gathered{Overlay: data.Over(to, data.In(memory.New().Data(), "migration")), most: most}
}

func (g *gathered) Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error) {
	if err := g.makeRoom(ctx, len(key)+len(value)); err != nil {
		return 0, err
	}
	return g.Overlay.Put(ctx, key, value, want)
}

func (g *gathered) Delete(ctx context.Context, key string, want uint64) error {
	if err := g.makeRoom(ctx, len(key)); err != nil {
		return err
	}
	return g.Overlay.Delete(ctx, key, want)
}

// entryCost is about what an entry takes beside its key and value, in bytes.
const entryCost = 100

// makeRoom moves what waits to the copy, unless size more bytes may wait too.
func (g *gathered) makeRoom(ctx context.Context, size int) error {
	size += entryCost
	if g.waiting+size > g.most && g.waiting > 0 {
		if err := g.Keep(ctx); err != nil {
			return err
		}
		g.waiting = 0
	}
	g.waiting += size
	return nil
}
