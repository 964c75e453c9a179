package protocol

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/berth-host/berth/failsafe/record"
)

// maxLine bounds a message to the wrapper, in bytes with its newline. The
// child keeps to it; what is longer is no message.
const maxLine = 64 << 10

// Bounds of what a message holds. The boot record must hold it too.
const (
	maxWord        = 1000    // bytes of the name of a phase, a revision or a module
	maxOptions     = 4 << 10 // bytes of all options for the next child
	maxOptionCount = 100
)

// maxStart bounds the line with the Start. The tails of its Failure are
// shortened to fit with ease.
const maxStart = 1 << 20

// A Message is one line from the child to the wrapper: JSON with one of the
// fields.
type Message struct {
	Phase   *Report      `json:"phase,omitempty"`
	Beat    bool         `json:"beat,omitempty"`
	State   record.State `json:"state,omitempty"`   // Good or Degraded
	Modules []string     `json:"modules,omitempty"` // that are disabled, with Degraded
	Fault   *Fault       `json:"fault,omitempty"`
	Options []string     `json:"options,omitempty"` // for the next child
	HTTPS   *bool        `json:"https,omitempty"`   // whether the next child shall be handed that listener
}

// ErrMalformed is the error of a line that is no message. The next line may
// be one.
var ErrMalformed = errors.New("no message of the control pipe")

// A Reader reads messages.
type Reader struct{ in *bufio.Reader }

// NewReader returns a reader of the messages in r.
func NewReader(r io.Reader) *Reader { return &Reader{bufio.NewReaderSize(r, maxLine)} }

// Next returns the next message. A line that is none gives an error that
// wraps [ErrMalformed] and the next call goes on behind it; every other error
// is the end, which is [io.EOF] when the child has closed its side. A last
// line without newline was cut off and is no message.
func (r *Reader) Next() (Message, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.in.ReadSlice('\n')
		}
		if err != nil {
			return Message{}, err
		}
		return Message{}, fmt.Errorf("a line of more than %d bytes is %w", maxLine, ErrMalformed)
	}
	if err != nil {
		return Message{}, err
	}
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := m.check(); err != nil {
		return Message{}, err
	}
	return m, nil
}

// check keeps nonsense from the wrapper: a child whose memory is damaged may
// write anything.
func (m Message) check() error {
	switch m.State {
	case "", record.Good, record.Degraded:
	default:
		return fmt.Errorf("state %.20q is %w", string(m.State), ErrMalformed)
	}
	if p := m.Phase; p != nil && max(len(p.Phase), len(p.Revision), len(p.Module)) > maxWord {
		return fmt.Errorf("a phase with words of more than %d bytes is %w", maxWord, ErrMalformed)
	}
	if size(m.Options) > maxOptions || len(m.Options) > maxOptionCount {
		return fmt.Errorf("options of more than %d bytes are %w", maxOptions, ErrMalformed)
	}
	return nil
}

func size(words []string) (n int) {
	for _, w := range words {
		n += len(w)
	}
	return n
}

// line returns v as a line, or an error when it is longer than the limit.
func line(v any, limit int) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > limit {
		return nil, fmt.Errorf("a message of %d bytes is longer than %d", b.Len(), limit)
	}
	return b.Bytes(), nil
}
