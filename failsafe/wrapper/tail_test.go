package wrapper

import (
	"fmt"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/record"
)

func TestTail(t *testing.T) {
	var w tail
	fmt.Fprint(&w, "one\ntwo\n")
	if got := w.String(); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
	line := strings.Repeat("x", 99) + "\n"
	for range 10_000 {
		fmt.Fprint(&w, line)
	}
	got := w.String()
	if len(got) > record.MaxTail || len(got) < record.MaxTail-200 || !strings.HasPrefix(got, "xxx") || len(got)%100 != 0 {
		t.Errorf("%d bytes, beginning with %.20q: not the end in whole lines", len(got), got)
	}
}

func TestHead(t *testing.T) {
	var w head
	for range 3 {
		if n, err := fmt.Fprint(&w, strings.Repeat("y", record.MaxTail/2)); n != record.MaxTail/2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got := w.String(); len(got) != record.MaxTail {
		t.Errorf("%d bytes are kept", len(got))
	}
}

func TestFirstFault(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"panic: boom\n\ngoroutine 1\n", "panic: boom"},
		{"runtime: out of memory\nfatal error: out of memory\n\ngoroutine", "fatal error: out of memory"},
		{"something else\nmore", "something else"},
		{"", ""},
	} {
		if got := firstFault(test.text); got != test.want {
			t.Errorf("%q gives %q, want %q", test.text, got, test.want)
		}
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{"the port is taken": "The port is taken.", "Über.": "Über.", "": "", " why? ": "Why?"} {
		if got := sentence(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}
