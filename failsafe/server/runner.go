package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/record"
)

const (
	// maxOutput is how much a job's output keeps of its beginning, in bytes.
	maxOutput = 1 << 20
	// maxStderr is how much of a helper's last words is kept, in bytes.
	maxStderr = 16 << 10
	// grace is how long a helper's pipes are waited for once it has ended: what
	// it left behind could hold them open.
	grace = time.Second
)

// errBusy is the error of a second job while one runs.
var errBusy = errors.New("another repair is running: wait for it, or cancel it")

// errLocked is the error of a helper that can't have the store.
var errLocked = errors.New("another process has the store open: most likely another berth that still runs: stop that one first")

// A runner runs one helper at a time. What counts as running is a process
// that lives: nothing on the disk says so, and so nothing there can block it.
type runner struct {
	helper func(ctx context.Context, args ...string) *exec.Cmd

	mu   sync.Mutex
	busy bool
	last *job
}

// A job is a helper whose output is shown as it comes.
type job struct {
	title  string
	began  time.Time
	cancel context.CancelFunc

	mu      sync.Mutex
	output  []byte
	partial []byte // of a line
	dropped bool
	ended   bool
	result  string        // in a sentence, "" when all went well
	took    time.Duration // once it has ended
	changed chan struct{} // closed at each change
}

// take reserves the runner; free gives it back.
func (r *runner) take() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		return errBusy
	}
	r.busy = true
	return nil
}

func (r *runner) free() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
}

// job returns the last job, nil when there was none.
func (r *runner) job() *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// cancel ends the job that runs, if any.
func (r *runner) cancel() {
	if j := r.job(); j != nil {
		j.cancel()
	}
}

// start starts a helper as a job. done is called when it has ended.
func (r *runner) start(title string, limits helper.Limits, args []string, done func()) error {
	if err := r.take(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{title: title, began: time.Now(), cancel: cancel, changed: make(chan struct{})}
	r.mu.Lock()
	r.last = j
	r.mu.Unlock()
	go func() {
		defer r.free()
		defer cancel()
		_, err := r.run(ctx, limits, args, nil, j)
		if done != nil {
			done()
		}
		j.end(err, ctx.Err() != nil)
	}()
	return nil
}

// A helperError is a helper that did not do what it should.
type helperError struct {
	message string
	code    int // exit code; -1 when it was killed
}

func (e *helperError) Error() string { return e.message }

// run runs a helper to its end. Its standard output goes to out, the end of
// its standard error is returned. A job shows both, in their order.
func (r *runner) run(ctx context.Context, limits helper.Limits, args []string, stdin io.Reader, out io.Writer) (stderr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	words := append([]string{"--time", limits.Time.String(), "--memory", strconv.FormatInt(limits.Memory, 10), "--"}, args...)
	cmd := r.helper(ctx, words...)
	last := &tailWriter{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, last
	if j, ok := out.(*job); ok {
		both := io.MultiWriter(last, j)
		cmd.Stdout, cmd.Stderr = both, both
	}
	cmd.WaitDelay = grace
	ownProcess(cmd)
	err = runLocked(cmd)
	stderr = strings.TrimSpace(record.Plain(record.Redact(last.String())))
	return stderr, explain(ctx, limits, err, stderr)
}

// explain says in a sentence why a helper did not do what it should.
func explain(ctx context.Context, limits helper.Limits, err error, stderr string) error {
	switch exit := (*exec.ExitError)(nil); {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &helperError{fmt.Sprintf("It took longer than %s and was ended.", inWords(limits.Time)), -1}
	case ctx.Err() != nil:
		return &helperError{"It was cancelled.", -1}
	case errors.As(err, &exit) && exit.ExitCode() == helper.ExitLocked:
		return &helperError{capital(errLocked.Error()), helper.ExitLocked}
	case errors.As(err, &exit) && exit.ExitCode() == helper.ExitFailed:
		return &helperError{capital(firstLine(saidError(stderr))), helper.ExitFailed}
	case errors.As(err, &exit):
		return &helperError{fmt.Sprintf("It crashed (%v). What it read is damaged, or it needed more memory than it may have.", err), exit.ExitCode()}
	}
	return &helperError{fmt.Sprintf("It could not be started: %v.", err), -1}
}

// errorMark begins the line of a program of ours that says why it failed.
const errorMark = "berth: error: "

// saidError returns what a helper said last about its failure.
func saidError(stderr string) string {
	if i := strings.LastIndex(stderr, errorMark); i >= 0 {
		return stderr[i+len(errorMark):]
	}
	return stderr
}

// Write takes output of the helper, both of standard output and error. Only
// whole lines are shown, since a secret may be cut in two.
func (j *job) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.partial = append(j.partial, p...)
	if i := bytes.LastIndexByte(j.partial, '\n'); i >= 0 {
		j.show(j.partial[:i+1])
		j.partial = append([]byte(nil), j.partial[i+1:]...)
	} else if len(j.partial) > maxStderr {
		j.show(j.partial)
		j.partial = nil
	}
	return len(p), nil
}

func (j *job) show(text []byte) {
	clean := record.Plain(record.Redact(string(text)))
	switch {
	case j.dropped:
	case len(j.output)+len(clean) > maxOutput:
		j.dropped = true
		j.output = append(j.output, "… there is more than this page shows\n"...)
	default:
		j.output = append(j.output, clean...)
	}
	j.wake()
}

func (j *job) wake() {
	close(j.changed)
	j.changed = make(chan struct{})
}

func (j *job) end(err error, cancelled bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.partial) > 0 {
		j.show(append(j.partial, '\n'))
		j.partial = nil
	}
	j.ended, j.took = true, time.Since(j.began)
	if err != nil {
		j.result = err.Error()
	}
	if cancelled && err == nil {
		j.result = ""
	}
	j.wake()
}

// next returns the output from a place on, and how the job stands.
func (j *job) next(from int) (text string, ended bool, result string, changed <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return string(j.output[min(from, len(j.output)):]), j.ended, j.result, j.changed
}

// A tailWriter keeps the end of what is written.
type tailWriter struct {
	mu   sync.Mutex
	text []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 2*maxStderr {
		t.text = append([]byte(nil), t.text[len(t.text)-maxStderr:]...)
	}
	return len(p), nil
}

func (t *tailWriter) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
