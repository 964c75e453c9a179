package record

import (
	"strings"
	"unicode/utf8"
)

// cutMark stands where text was left out.
const cutMark = "…"

// Cut returns at most max bytes of the beginning of s. Max is at least 3.
func Cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	end := max - len(cutMark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cutMark
}

// Tail returns at most max bytes of the end of s. Max is at least 3.
func Tail(s string, max int) string {
	if len(s) <= max {
		return s
	}
	begin := len(s) - max + len(cutMark)
	for begin < len(s) && !utf8.RuneStart(s[begin]) {
		begin++
	}
	return cutMark + s[begin:]
}

// Plain returns s as text that may be shown anywhere: valid UTF-8 without
// control characters other than newline and tab, which could play with a
// terminal.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return -1
		case r < ' ' || 0x7f <= r && r < 0xa0:
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}
