package httpwasm

import (
	"net/textproto"
	"testing"
)

// What is known is what net/http would say.
func TestKeys(t *testing.T) {
	for name, got := range keys {
		if want := textproto.CanonicalMIMEHeaderKey(name); got != want {
			t.Errorf("%s is known as %s, not %s", name, got, want)
		}
	}
	for name, want := range map[string]string{"content-type": "Content-Type", "CONTENT-TYPE": "Content-Type", "x-mine": "X-Mine", "a b": "a b"} {
		if got := key([]byte(name)); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	name := []byte("set-cookie")
	if n := testing.AllocsPerRun(100, func() { _ = key(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
