package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

// TestMain makes the test binary a child as well.
func TestMain(m *testing.M) {
	if os.Getenv("BERTH_TEST_CHILD") != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// child does what a child can do, in turn.
func child() int {
	c, err := Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	l := c.Listener(Site)
	if l == nil || c.Listener(Console) != nil || os.Getenv(handoverVar) != "" {
		return 1
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.Start().Reason) }))
	}()
	c.Phase(Report{Phase: PhaseServe, Revision: "7", Module: strings.Repeat("m", 2*maxWord)})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	alive := make(chan bool, 100)
	go c.Heartbeat(ctx, func(context.Context) error {
		select {
		case alive <- true:
			return nil
		default:
			return errors.New("it is not alive")
		}
	})
	<-alive
	c.Good()
	c.Degraded("one", "two")
	if err := c.Hand(strings.Repeat("x", maxOptions+1)); err == nil {
		return 1
	}
	if err := c.Hand("without=x"); err != nil {
		return 1
	}
	<-c.Stop()
	return c.Serious(Fault{Message: "that was it", Kind: "test"})
}

// TestLink takes a child through its life.
func TestLink(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	failure := record.Crash{Message: "before", Stderr: strings.Repeat("line\n", 1<<18)}
	start := Start{
		Mode: Normal, Reason: "because", Beat: 20 * time.Millisecond, Key: make(Key, KeySize), Failure: &failure,
		Sockets: []Socket{{Name: Site, Address: l.Addr().String()}, {Name: Console, Address: "127.0.0.1:1", Error: "it is taken"}},
	}
	link, err := NewLink(start, []NamedFile{{Name: Site, File: f}})
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	attr := &os.ProcAttr{Env: append(os.Environ(), "BERTH_TEST_CHILD=1"), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}}
	if err := link.Attach(attr); err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(os.Args[0], os.Args[:1], attr)
	if err != nil {
		t.Fatal(err)
	}
	link.Started()
	var got []string
	beats := 0
	link.Read(func(m Message) {
		switch {
		case m.Beat:
			if beats++; beats == 3 { // it lives and was heard
				resp, err := http.Get("http://" + l.Addr().String())
				if err != nil {
					t.Error(err)
				} else {
					resp.Body.Close()
				}
				link.Stop()
			}
		case m.Phase != nil:
			got = append(got, fmt.Sprintf("%s %s %d", m.Phase.Phase, m.Phase.Revision, len(m.Phase.Module)))
		default:
			b, err := json.Marshal(m)
			if err != nil {
				t.Error(err)
			}
			got = append(got, string(b))
		}
	})
	state, err := p.Wait()
	if err != nil || state.ExitCode() != ExitSerious {
		t.Errorf("it ended with %v, %v", state, err)
	}
	want := []string{"serve 7 1000", `{"state":"good"}`, `{"state":"degraded","modules":["one","two"]}`, `{"options":["without=x"]}`, `{"fault":{"message":"that was it","kind":"test"}}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestNoWrapper is a process that nobody started as a child.
func TestNoWrapper(t *testing.T) {
	c, err := Inherit()
	if err != nil || c.Wrapped() || c.Mode() != Normal || c.Listener(Site) != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	c.Phase(Report{Phase: PhaseServe})
	c.Beat()
	c.Good()
	if code := c.Serious(Fault{}); code != ExitSerious {
		t.Errorf("code %d", code)
	}
	select {
	case <-c.Stop():
		t.Error("it is to stop")
	default:
	}
}

// TestForeignHandover reads variables that no wrapper of ours wrote.
func TestForeignHandover(t *testing.T) {
	for _, text := range []string{"", "v1", "v2 3 4 5", "v1 a b c", "v1 3 4", "v1 site=3 4 5", "v1 3 4 5 6", "v1 900 901 902"} {
		t.Setenv(handoverVar, text)
		if _, err := Inherit(); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
