package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	heartbeat    = 15 * time.Second // between comments on a quiet stream, which show that it lives
	writeTimeout = 30 * time.Second // for a reader to take what it is sent
	retry        = 2 * time.Second  // before a browser comes back
	gather       = 100 * time.Millisecond
)

// A Stream sends lines as server-sent events (HTML Standard, section 9.2).
// Each has an ID, by which a reader that was cut off goes on.
type Stream struct {
	Log *Log
	// Run tells runs of the server apart: IDs of another run mean nothing here.
	Run string
	// Backlog is how many of the wanted lines that are kept a new reader gets first.
	Backlog int
	// JSON is what is sent of a line.
	JSON func(*Line) any
}

// missed is sent, as event "missed", where lines were dropped before the
// reader got them.
type missed struct {
	Missed uint64 `json:"missed"`
}

// Serve sends lines until ctx ends or the reader goes. lastID is the ID of the
// last event that the reader has had; "" for a new one.
func (s *Stream) Serve(ctx context.Context, w http.ResponseWriter, lastID string, f Filter) {
	c := http.NewResponseController(w)
	send := func(text string) bool {
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) // not every writer has one
		if _, err := io.WriteString(w, text); err != nil {
			return false
		}
		return c.Flush() == nil
	}
	w.Header().Set("X-Accel-Buffering", "no") // for proxies that would hold lines back
	if !send(fmt.Sprintf("retry: %d\n\n", retry.Milliseconds())) {
		return
	}
	after, resumed := s.parseID(lastID)
	batch := s.Log.Since(after, f)
	if !resumed && len(batch.Lines) > s.Backlog {
		batch.Lines = batch.Lines[len(batch.Lines)-s.Backlog:]
	}
	beat := time.NewTimer(heartbeat)
	defer beat.Stop()
	for {
		text, err := s.events(batch)
		if err != nil || text != "" && !send(text) {
			return
		}
		if text != "" {
			beat.Reset(heartbeat)
		}
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if !send(": still here\n\n") {
				return
			}
			beat.Reset(heartbeat)
		case <-batch.Changed:
			// Lines seldom come alone: those of a moment are sent at once.
			select {
			case <-ctx.Done():
				return
			case <-time.After(gather):
			}
		}
		batch = s.Log.Since(batch.Last, f)
	}
}

func (s *Stream) events(batch Batch) (string, error) {
	var b strings.Builder
	if batch.Missed > 0 {
		text, err := json.Marshal(missed{batch.Missed})
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "event: missed\ndata: %s\n\n", text)
	}
	for i := range batch.Lines {
		text, err := json.Marshal(s.JSON(&batch.Lines[i]))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "id: %s\ndata: %s\n\n", s.ID(batch.Lines[i].ID), text)
	}
	return b.String(), nil
}

// ID is how a line is known to readers.
func (s *Stream) ID(id uint64) string { return s.Run + "-" + strconv.FormatUint(id, 10) }

// parseID reads an ID of this run.
func (s *Stream) parseID(text string) (id uint64, ok bool) {
	run, number, _ := strings.Cut(text, "-")
	id, err := strconv.ParseUint(number, 10, 64)
	if err != nil || run != s.Run {
		return 0, false
	}
	return id, true
}
