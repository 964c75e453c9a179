package secret

import "log/slog"

// Redacted is what a [Value] prints.
const Redacted = "[secret]"

// A Value is an opened secret that does not print, log or marshal itself: not
// by %v, nor by %+v or %#v of a struct that holds it, for the text is behind a pointer.
type Value struct {
	text *string
}

// NewValue hides s.
func NewValue(s string) Value { return Value{&s} }

// Reveal returns the text. The zero Value reveals "".
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// String returns [Redacted].
func (v Value) String() string { return Redacted }

// GoString returns [Redacted].
func (v Value) GoString() string { return Redacted }

// LogValue returns [Redacted].
func (v Value) LogValue() slog.Value { return slog.StringValue(Redacted) }

// MarshalText returns [Redacted].
func (v Value) MarshalText() ([]byte, error) { return []byte(Redacted), nil }
