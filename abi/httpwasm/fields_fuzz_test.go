package httpwasm

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzParseFields takes any block of header fields apart: what is let through
// can be written to a visitor, and begins no second header.
func FuzzParseFields(f *testing.F) {
	for _, seed := range []string{"\x00", "A\x00b\x00", "A\x00b\x00a\x00c\x00", "A\x00", "A\x00b", "\x00b\x00", "A\x00b\r\nC: d\x00", "A b\x00c\x00", "Content-Length\x00-1\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		if len(block) == 0 {
			return // there are none
		}
		b, err := parseFields(block)
		if err != nil {
			return
		}
		header := http.Header{}
		for _, field := range b.fields {
			header[field.key] = append(header[field.key], field.value...)
			if strings.ContainsAny(field.key+field.value[0], "\r\n\x00") {
				t.Errorf("%q lets %q: %q through", block, field.key, field.value)
			}
		}
		var written bytes.Buffer
		if err := header.Write(&written); err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(written.String(), "\r\n"); lines != len(b.fields) {
			t.Errorf("%q: %d fields make %d lines: %q", block, len(b.fields), lines, written.String())
		}
	})
}
