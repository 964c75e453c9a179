package engine

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/tetratelabs/wazero/sys"
)

// Errors that callers branch on.
var (
	ErrBusy     = errors.New("too many requests are waiting")           // the queue of a pool is full
	ErrClosed   = errors.New("the deployment was closed")               // the pool was closed
	ErrRefused  = errors.New("the module is refused")                   // by the scan; see [RefusedError]
	ErrNotFound = errors.New("the compiled module is not in the cache") // Load without source
)

// Causes of a [Trap], for errors.Is. Beside them a cause may be an
// [*abi.Fault] or another error of a host function, an [*ExitError], the
// error of the caller's context, or a rarer trap of WebAssembly such as
// "integer divide by zero".
var (
	ErrTimeout       = errors.New("the time limit was reached")   // wall or compute time
	ErrMemory        = errors.New("the memory limit was reached") // at the start, or as the likely reason of what followed
	ErrHostCalls     = errors.New("the limit of host function calls was reached")
	ErrStackOverflow = errors.New("stack overflow: calls too deep, as by a recursion without an end")
	ErrUnreachable   = errors.New("unreachable code was reached: the guest gave up, as by a panic")
	ErrOutOfBounds   = errors.New("memory access outside the guest's memory")
	ErrHost          = errors.New("a host function failed; this is a fault of the server, not of the module") // a panic of ours
)

// A Trap is a call that a guest did not finish.
type Trap struct {
	Pool  string
	Cause error  // what happened; errors.Is(t, ErrTimeout) for a time limit
	Stack string // symbolised, innermost frame first, one frame a line; may be empty
}

func (t *Trap) Error() string { return fmt.Sprintf("%s: %v", t.Pool, t.Cause) }
func (t *Trap) Unwrap() error { return t.Cause }

// An ExitError is the end of a guest by WASI's proc_exit, where it should have
// answered.
type ExitError struct{ Code uint32 }

func (e *ExitError) Error() string { return fmt.Sprintf("the guest exited with code %d", e.Code) }

// A RefusedError says why a module is not run. Every fault found is listed.
type RefusedError struct{ Reasons []string }

func (e *RefusedError) Error() string {
	return ErrRefused.Error() + ": " + strings.Join(e.Reasons, "; ")
}

// Is reports that every RefusedError is an [ErrRefused].
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// wasmTraps are the traps of WebAssembly. wazero keeps its error values to
// itself, but not their texts.
var wasmTraps = map[string]error{
	"stack overflow":                ErrStackOverflow,
	"unreachable":                   ErrUnreachable,
	"out of bounds memory access":   ErrOutOfBounds,
	"invalid conversion to integer": errors.New("conversion of a number that no integer can hold"),
	"integer overflow":              errors.New("integer overflow"),
	"integer divide by zero":        errors.New("integer division by zero"),
	"invalid table access":          errors.New("call through a table entry that is empty or does not exist"),
	"indirect call type mismatch":   errors.New("call through a table entry of another type"),
	"null reference":                errors.New("use of a null reference"),
}

// causeOf tells what an error of wazero stands for. Errors that the host gave
// to wazero never get here: see instance.halt.
func causeOf(err error) error {
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		return &ExitError{Code: exit.ExitCode()}
	}
	if trap := wasmTraps[innermost(err).Error()]; trap != nil {
		return trap
	}
	if text, stack, ran := strings.Cut(err.Error(), "wasm stack trace:"); ran && stack != "" {
		text, _, _ = strings.Cut(text, " (recovered by wazero)")
		return fmt.Errorf("%w: %s", ErrHost, text)
	}
	return err
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Limits of a stack in a [Trap]: function names are the guest's to choose.
const (
	maxFrames     = 40
	maxFrameBytes = 300
)

// stackOf takes the guest's frames out of an error text of wazero, each with
// its place in the source where that is known. A frame that repeats, as in a
// recursion, is written once with its number.
func stackOf(err error) string {
	_, text, _ := strings.Cut(err.Error(), "wasm stack trace:\n\t")
	text, _, _ = strings.Cut(text, "\n\nGo runtime stack trace:")
	var frames []string
	last, times := "", 0
	push := func(next string) {
		switch {
		case next == last:
			times++
			return
		case times > 1:
			frames = append(frames, fmt.Sprintf("%s (%d times)", last, times))
		case times == 1:
			frames = append(frames, last)
		}
		last, times = next, 1
	}
	frame, placed := "", false
	for line := range strings.SplitSeq(text, "\n\t") {
		if place, ok := strings.CutPrefix(line, "\t"); ok { // of the frame before
			if frame != "" && !placed { // the first of several is the innermost
				frame, placed = frame+placeOf(place), true
			}
			continue
		}
		if frame != "" {
			push(frame)
		}
		frame, placed = "", false
		if line != "" && !strings.HasPrefix(line, "."+tickFunction.Module+".") && !strings.HasPrefix(line, tickFunction.Module+".") {
			frame = printable(line)
		}
	}
	if frame != "" {
		push(frame)
	}
	push("")
	return strings.Join(frames[:min(len(frames), maxFrames)], "\n")
}

// placeOf takes file, line and column out of what wazero says of a frame, such
// as "0x1c4: /src/hello.c:12:3".
func placeOf(text string) string {
	_, place, ok := strings.Cut(text, ": ")
	if !ok || strings.HasPrefix(place, "?") { // as the rewriter names what it doesn't know
		return ""
	}
	return " " + printable(place)
}

// printable makes a frame fit for logs and pages.
func printable(frame string) string {
	if strings.HasPrefix(frame, "... ") { // there are more, says wazero
		return "…"
	}
	frame = strings.TrimPrefix(frame, ".") // after the name of the module, which is none
	if len(frame) > maxFrameBytes {
		frame = frame[:maxFrameBytes] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, frame)
}
