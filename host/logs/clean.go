package logs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text harmless for terminals and pages: control characters, with
// which a text could move the cursor, ring, rename the window or paint over
// what others said, are written out, as are characters that turn the direction
// of text around or are not seen. Line ends and tabs stay.
func Clean(text string) string {
	if i := strings.IndexFunc(text, harmful); i < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text, "\ufffd") {
		switch {
		case !harmful(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// harmful reports whether a character does something instead of standing for
// something.
func harmful(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}
