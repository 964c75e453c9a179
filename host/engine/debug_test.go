package engine

import (
	"errors"
	"strings"
	"testing"
)

// A trap shows where it happened in the source, although the rewriter has moved
// all code.
func TestTrapsShowSourceLines(t *testing.T) {
	p := newPool(t, newEngine(t), "crash", PoolConfig{})
	for _, test := range []struct {
		what, arg int
		frames    []string
	}{
		{0, 7, []string{"divide /src/crash.c:5:12", "run /src/crash.c:8:43"}},
		{1, 2, []string{"recurse /src/crash.c:13:15", "recurse /src/crash.c:14:10 (2 times)", "run /src/crash.c:20:10"}},
	} {
		_, err := run(t.Context(), p, test.what, test.arg)
		trap, ok := errors.AsType[*Trap](err)
		if !ok {
			t.Fatal(err)
		}
		frames := strings.Split(trap.Stack, "\n")
		if len(frames) != len(test.frames) {
			t.Fatalf("stack\n%s", trap.Stack)
		}
		for i, want := range test.frames {
			name, place, _ := strings.Cut(want, " ")
			if !strings.Contains(frames[i], name+"(") || !strings.HasSuffix(frames[i], " "+place) {
				t.Errorf("frame %d is %q, want one of %s at %s", i, frames[i], name, place)
			}
		}
	}
}
