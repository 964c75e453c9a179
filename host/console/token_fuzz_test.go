package console

import (
	"strings"
	"testing"
	"time"
)

// FuzzParseToken takes any text apart: what is a token says the same again.
func FuzzParseToken(f *testing.F) {
	_, text := NewToken("a", ScopeRead, time.Unix(0, 0), 0)
	for _, seed := range []string{"", text, text + "0", strings.ToUpper(text), "berth_", "berth__", "berth_0123456789abcdef_zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, secret, ok := parseToken(text)
		if ok && (len(id) != 16 || len(secret) != 32 || !strings.HasPrefix(text, tokenPrefix+id+"_")) {
			t.Errorf("%q gives %q and %x", text, id, secret)
		}
	})
}
