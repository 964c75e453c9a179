package engine

import (
	"testing"
)

func TestDo(t *testing.T) {
	e := newEngine(t)
	shape, err := e.Prepare(t.Context(), guest(t, "reactor"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", shape)
	p := newPool(t, e, "reactor", PoolConfig{Isolation: IsolationShared})
	if got := mustRun(t, p, runEcho, 42); got != 42 {
		t.Errorf("echo = %d", got)
	}
	mustRun(t, p, runCount, 0)
	if got := mustRun(t, p, runCount, 0); got != 2 {
		t.Errorf("count = %d, want 2", got)
	}
	_, err = run(t.Context(), p, runDeep, 0)
	t.Logf("%+v %#v", err, err)
	t.Logf("%+v", p.Stats())
}

func BenchmarkDo(b *testing.B) {
	e := newEngine(b)
	p := newPool(b, e, "reactor", PoolConfig{Isolation: IsolationShared})
	mustRun(b, p, runEcho, 1)
	b.ReportAllocs()
	for b.Loop() {
		mustRun(b, p, runNop, 1)
	}
}
