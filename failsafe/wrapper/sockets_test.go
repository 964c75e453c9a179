package wrapper

import (
	"net"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/protocol"
)

// TestSocket keeps an address over starts, and what was bound when another
// can't be had.
func TestSocket(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := socket{name: protocol.Site}
	s.bind("127.0.0.1:0")
	first := s.bound
	if s.err != nil || first == "" {
		t.Fatal(s.err)
	}
	defer func() { s.listener.Close() }()
	s.bind("127.0.0.1:0")
	if s.bound != first {
		t.Errorf("the same address is bound anew: %s, then %s", first, s.bound)
	}
	s.bind(other.Addr().String())
	if s.err == nil || !strings.Contains(s.err.Error(), "already used by another program") || s.bound != first {
		t.Errorf("a taken port: %v, bound %s", s.err, s.bound)
	}
	s.bind("nonsense")
	if s.err == nil || !strings.Contains(s.err.Error(), "not of the form host:port") {
		t.Errorf("nonsense: %v", s.err)
	}
	s.bind("127.0.0.1:0")
	if s.err != nil || s.bound == "" {
		t.Errorf("a good address again: %v, bound %s", s.err, s.bound)
	}
	if told := s.told(); told.Error != "" || told.Address != s.bound {
		t.Errorf("the child is told %+v", told)
	}
}

func TestSamePort(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{{":8080", "127.0.0.1:8080", true}, {":8080", ":8081", false}, {":0", "127.0.0.1:0", false}, {"x", "x", false}} {
		if got := samePort(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %v", test.a, test.b, got)
		}
	}
}
