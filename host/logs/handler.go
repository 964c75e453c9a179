package logs

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
)

// Handler returns a handler that gives to next what it takes, and to the log
// what next takes.
func Handler(next slog.Handler, log *Log) slog.Handler {
	return &handler{next: next, log: log}
}

type handler struct {
	next   slog.Handler
	log    *Log
	attrs  string // written out
	prefix string // of groups: "a.b."
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	line := Line{Time: r.Time, Source: Server, Level: levelName(r.Level)}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "request" && h.prefix == "" {
			line.Request = a.Value.String()
			return true
		}
		appendAttr(&b, h.prefix, a)
		return true
	})
	line.Text = b.String()
	h.log.Add(line)
	return h.next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		appendAttr(&b, h.prefix, a)
	}
	return &handler{next: h.next.WithAttrs(attrs), log: h.log, attrs: b.String(), prefix: h.prefix}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{next: h.next.WithGroup(name), log: h.log, attrs: h.attrs, prefix: h.prefix + name + "."}
}

func appendAttr(b *strings.Builder, prefix string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range value.Group() {
			appendAttr(b, prefix, member)
		}
		return
	}
	text := value.String()
	if text == "" || strings.ContainsAny(text, " =\"\n") {
		text = strconv.Quote(text)
	}
	if a.Key == "stack" { // to be read
		text = "\n" + value.String()
	}
	b.WriteString(" " + prefix + a.Key + "=" + text)
}

func levelName(level slog.Level) string {
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	}
	return "error"
}
