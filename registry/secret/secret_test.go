package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func testBox(t testing.TB, fill byte) *Box {
	t.Helper()
	b, err := New(bytes.Repeat([]byte{fill}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seal(t testing.TB, b *Box, plaintext, context string) string {
	t.Helper()
	token, err := b.Seal([]byte(plaintext), context)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSealOpen(t *testing.T) {
	b := testBox(t, 1)
	for _, plaintext := range []string{"", "x", "hunter2", strings.Repeat("ä", MaxPlaintext/2)} {
		token := seal(t, b, plaintext, "here")
		if !strings.HasPrefix(token, "sealed:v1:") || !IsSealed(token) {
			t.Fatalf("token %.20q has the wrong form", token)
		}
		if len(plaintext) > 3 && strings.Contains(token, plaintext) {
			t.Errorf("token holds its plaintext")
		}
		got, err := b.Open(token, "here")
		if err != nil || string(got) != plaintext {
			t.Errorf("Open = %.20q, %v, want %.20q", got, err, plaintext)
		}
	}
	if first, second := seal(t, b, "a", "here"), seal(t, b, "a", "here"); first == second {
		t.Error("the same plaintext gave the same token twice")
	}
	if _, err := b.Seal(make([]byte, MaxPlaintext+1), "here"); err == nil {
		t.Error("a secret above the limit was sealed")
	}
}

func TestOpenRefuses(t *testing.T) {
	b := testBox(t, 1)
	token := seal(t, b, "hunter2", "pkg/a")
	body := strings.TrimPrefix(token, "sealed:v1:")
	for name, row := range map[string]struct {
		token, context string
		want           error
	}{
		"moved to another place":  {token, "pkg/b", ErrDamaged},
		"another key":             {seal(t, testBox(t, 2), "hunter2", "pkg/a"), "pkg/a", ErrWrongKey},
		"no token":                {"hunter2", "pkg/a", ErrDamaged},
		"empty":                   {"", "pkg/a", ErrDamaged},
		"empty body":              {"sealed:v1:", "pkg/a", ErrDamaged},
		"unknown version":         {"sealed:v2:" + body, "pkg/a", ErrDamaged},
		"not base64":              {"sealed:v1:" + body + "!", "pkg/a", ErrDamaged},
		"line breaks":             {token + "\n", "pkg/a", ErrDamaged},
		"key identity only":       {token[:len("sealed:v1:")+11], "pkg/a", ErrDamaged},
		"larger than any sealing": {"sealed:v1:" + strings.Repeat("A", 2*MaxPlaintext), "pkg/a", ErrDamaged},
	} {
		if got, err := b.Open(row.token, row.context); !errors.Is(err, row.want) || got != nil {
			t.Errorf("%s: Open = %q, %v, want %v", name, got, err, row.want)
		}
	}
}

func TestOpenRefusesEveryFlippedBitAndCut(t *testing.T) {
	b := testBox(t, 1)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(seal(t, b, "hunter2", "c"), "sealed:v1:"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(raw []byte) error {
		_, err := b.Open("sealed:v1:"+base64.RawURLEncoding.EncodeToString(raw), "c")
		return err
	}
	for i := range raw {
		for bit := range 8 {
			bad := bytes.Clone(raw)
			bad[i] ^= 1 << bit
			want := ErrDamaged
			if i < idSize {
				want = ErrWrongKey
			}
			if err := open(bad); !errors.Is(err, want) {
				t.Fatalf("bit %d of byte %d flipped: %v, want %v", bit, i, err, want)
			}
		}
		if err := open(raw[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestWrongKeyNamesBothKeys(t *testing.T) {
	a, b := testBox(t, 1), testBox(t, 2)
	_, err := b.Open(seal(t, a, "x", ""), "")
	var wrong *WrongKeyError
	if !errors.As(err, &wrong) || wrong.Want != a.KeyID() || wrong.Have != b.KeyID() {
		t.Errorf("got %#v", err)
	}
}

func TestValueNeverPrints(t *testing.T) {
	v := NewValue("hunter2")
	type holder struct {
		Public Value
		hidden Value
	}
	h := holder{v, v}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v, "h", h)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v, "h", h)
	asJSON, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb, v) + fmt.Sprintf(verb, h) + fmt.Sprintf(verb, &h)
	}
	if strings.Contains(printed, "hunter2") || strings.Contains(printed, "68756e74657232") {
		t.Errorf("printed the secret: %s", printed)
	}
	if v.Reveal() != "hunter2" || (Value{}).Reveal() != "" {
		t.Error("Reveal does not return the text")
	}
}

func FuzzOpen(f *testing.F) {
	b := testBox(f, 1)
	f.Add(seal(f, b, "hunter2", "c"))
	f.Add("sealed:v1:")
	f.Add("sealed:v1:AAAAAAAAAAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		// No input opens for a context that nothing was sealed for.
		if got, err := b.Open(token, "elsewhere"); err == nil {
			t.Errorf("opened to %q", got)
		}
	})
}

func TestDigest(t *testing.T) {
	b := testBox(t, 1)
	// HKDF-SHA-256 of 32 bytes 0x01 with that info, then HMAC-SHA-256 of
	// 03 "abc" 00 02 "de": any other implementation says the same.
	const want = "1df29cbc7877d18774e519682cc12639672c9347658cdabc165d5b091842e37e"
	if got := b.Digest("abc", "", "de"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, other := range [][]string{{"abc", "de"}, {"abcde"}, {"abc", "", "de", ""}, {"", "abc", "de"}} {
		if b.Digest(other...) == want {
			t.Errorf("%q has the same digest", other)
		}
	}
	if testBox(t, 2).Digest("abc", "", "de") == want {
		t.Error("another key gives the same digest")
	}
}
