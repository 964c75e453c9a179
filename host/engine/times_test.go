package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/berth-host/berth/abi"
)

// TestTimes tells apart where the time of a call goes.
func TestTimes(t *testing.T) {
	const part = 30 * time.Millisecond
	e := newEngine(t)
	p := newPool(t, e, "reactor", PoolConfig{Isolation: IsolationShared, Limits: Limits{Instances: 1}})
	spins := newPool(t, e, "hostile", PoolConfig{Limits: Limits{Compute: 2 * part}})
	for _, step := range []struct {
		name string
		pool *Pool
		call func() error
		// want is the part that grows by at least that much; it alone does.
		want Times
	}{
		{"start", p, func() error { return p.Do(t.Context(), nil, func(abi.Guest) error { return nil }) }, Times{Starting: 1}},
		{"outside the guest", p, func() error {
			return p.Do(t.Context(), nil, func(abi.Guest) error { time.Sleep(part); return nil })
		}, Times{}},
		{"outside the guest, which comes back", p, func() error {
			return p.Do(t.Context(), nil, func(g abi.Guest) error {
				err := g.Invoke(0, []uint64{runEcho, 1})
				time.Sleep(part)
				return errors.Join(err, g.Invoke(0, []uint64{runEcho, 1}))
			})
		}, Times{}},
		{"wait in a host function", p, func() error {
			_, err := run(t.Context(), p, runWait, int(part.Milliseconds()))
			return err
		}, Times{Blocked: part}},
		{"wait for an instance", p, func() error {
			release := hold(t, p)
			time.AfterFunc(part, release)
			_, err := run(t.Context(), p, runEcho, 1)
			return err
		}, Times{Queued: part}},
		{"compute", spins, func() error {
			if _, err := run(t.Context(), spins, 0, 0); !errors.Is(err, ErrTimeout) {
				return errors.New("it did not spin")
			}
			return nil
		}, Times{Starting: 1, Computing: part}},
	} {
		before := step.pool.Stats().Times
		if err := step.call(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		after := step.pool.Stats().Times
		for name, took := range map[string][2]time.Duration{
			"queued":    {after.Queued - before.Queued, step.want.Queued},
			"starting":  {after.Starting - before.Starting, step.want.Starting},
			"computing": {after.Computing - before.Computing, step.want.Computing},
			"blocked":   {after.Blocked - before.Blocked, step.want.Blocked},
		} {
			if took[0] < took[1] || took[1] == 0 && took[0] > part/2 {
				t.Errorf("%s: %v %s, want %v", step.name, took[0], name, took[1])
			}
		}
	}
}
