package engine

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStackOf(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"no stack", "wasm error: unreachable", ""},
		{"frames", "wasm error: unreachable\nwasm stack trace:\n\tfoobar.inner(i32)\n\t.outer()", "foobar.inner(i32)\nouter()"},
		{"the tick is ours", "x (recovered by wazero)\nwasm stack trace:\n\tberth_meter.tick()\n\t.spin()", "spin()"},
		{"recursion", "x\nwasm stack trace:\n\t.a()\n\t.b()\n\t.b()\n\t.b()\n\t.a()\n\t... maybe followed by omitted frames", "a()\nb() (3 times)\na()\n…"},
		{"a stack of ours", "x (recovered by wazero)\nwasm stack trace:\n\t.a()\n\nGo runtime stack trace:\ngoroutine 1", "a()"},
		{"lines of code", "x\nwasm stack trace:\n\t.a()\n\t\t0x10: main.go:3:4\n\t.b()", "a() main.go:3:4\nb()"},
		{"a name of the guest's making", "x\nwasm stack trace:\n\t.\x1b[2J\u202e()", " [2J ()"},
	} {
		if got := stackOf(errors.New(test.text)); got != test.want {
			t.Errorf("%s:\n%q, want\n%q", test.name, got, test.want)
		}
	}
}

func FuzzStackOf(f *testing.F) {
	f.Add(".a()\n\t.a()\n\t... more")
	f.Add(".a()\n\t\t0x1: a.c:1:2\n\t\t     b.c:3\n\t.b()")
	f.Add(strings.Repeat("x", 1000) + "\xff\x00")
	f.Fuzz(func(t *testing.T, frames string) {
		stack := stackOf(errors.New("wasm stack trace:\n\t" + frames))
		lines := strings.Split(stack, "\n")
		if len(lines) > maxFrames || !utf8.ValidString(stack) {
			t.Errorf("stack %q", stack)
		}
		for _, line := range lines {
			if len(line) > 6*maxFrameBytes+len("… (1000000 times)") {
				t.Errorf("frame %q", line)
			}
		}
	})
}
