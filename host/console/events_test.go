package console

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// listen connects to a stream and returns what reads its next event, as "kind
// data", and the ID of the last one.
func listen(t *testing.T, url, lastID string) (next func() string, id func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", lastID)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return func() string {
		t.Helper()
		kind := ""
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				lastID = value
			case "event":
				kind = value
			case "data":
				return kind + " " + value
			}
		}
		return "end"
	}, func() string { return lastID }
}

func TestEvents(t *testing.T) {
	e := NewEvents()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = e.Serve(w, r, Nothing{}) }))
	defer srv.Close()
	defer e.Close()

	e.Publish("site", 1)
	next, id := listen(t, srv.URL, "")
	if got := next(); got != "hello {}" {
		t.Fatalf("a new watcher first gets %q", got)
	}
	start := id()
	e.Publish("site", 2)
	if got := next(); got != "site 2" {
		t.Errorf("got %q", got)
	}
	e.Publish("job", map[string]string{"id": "a\nb"})
	if got := next(); got != `job {"id":"a\nb"}` {
		t.Errorf("got %q", got)
	}
	last := id()

	// One that was away gets what it has missed, from wherever it was.
	e.Publish("site", 3)
	again, _ := listen(t, srv.URL, last)
	if got := again() + ", " + again(); got != "hello {}, site 3" {
		t.Errorf("after a break: %q", got)
	}
	again, _ = listen(t, srv.URL, start)
	if got := again() + ", " + again(); got != "hello {}, site 2" {
		t.Errorf("after a break at the start: %q", got)
	}

	// What can't be made good is said.
	for _, lost := range []string{"other-1", "nonsense", strings.Split(last, "-")[0] + "-99999999"} {
		again, _ = listen(t, srv.URL, lost)
		if got := again(); got != "reset {}" {
			t.Errorf("with the ID %q: %q", lost, got)
		}
	}
	for range KeptEvents + 1 {
		e.Publish("site", 4)
	}
	again, _ = listen(t, srv.URL, last)
	if got := again(); got != "reset {}" {
		t.Errorf("after very many: %q", got)
	}

	ending, _ := listen(t, srv.URL, "")
	ending()
	e.Close()
	if got := ending(); got != "end" {
		t.Errorf("when the server stops: %q", got)
	}
}

// TestJobEvents asks that watchers hear of every job to its end, and not of
// each of a thousand steps.
func TestJobEvents(t *testing.T) {
	e := NewEvents()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = e.Serve(w, r, Nothing{}) }))
	defer srv.Close()
	defer e.Close()
	jobs := NewJobs(func(error) *Error { return nil })
	defer jobs.Close()
	jobs.Tell(e)
	next, _ := listen(t, srv.URL, "")
	next()
	jobs.Start("install", "x", "me", func(_ context.Context, progress func(Progress)) (any, error) {
		for i := range 1000 {
			progress(Progress{Done: int64(i)})
		}
		return "a large result", nil
	})
	heard := 0
	for {
		got := next()
		heard++
		if strings.Contains(got, "a large result") {
			t.Error("events hold results")
		}
		if strings.Contains(got, `"state":"done"`) {
			break
		}
	}
	if heard > 20 {
		t.Errorf("%d events for a short job", heard)
	}
}
