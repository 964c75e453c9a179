package password

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode"
)

// The length of a password, in bytes.
const (
	MinLength = 12
	MaxLength = 1024
)

// ErrWeak is wrapped by the errors of texts that [Check] refuses. Their
// messages are for the owner.
var ErrWeak = errors.New("choose another password")

// Check returns an error when a text may not become a password: it is too
// short or too long, or among what is tried first. Nothing else is asked for
// (NIST SP 800-63B, OWASP ASVS 5.0 6.2): every character is allowed.
func Check(text string) error {
	switch n := len(text); {
	case n < MinLength:
		return fmt.Errorf("%w: this one has %d characters of at least %d", ErrWeak, len([]rune(text)), MinLength)
	case n > MaxLength:
		return fmt.Errorf("%w: this one is longer than %d bytes", ErrWeak, MaxLength)
	case repeats(text):
		return fmt.Errorf("%w: this one repeats a few characters", ErrWeak)
	case counts(text):
		return fmt.Errorf("%w: this one is a row of neighbours", ErrWeak)
	case isCommon(text):
		return fmt.Errorf("%w: this one is among those that are tried first", ErrWeak)
	}
	return nil
}

// repeats reports whether a text is one of at most four characters over and over.
func repeats(text string) bool {
	for period := 1; period <= 4; period++ {
		if text[period:] == text[:len(text)-period] {
			return true
		}
	}
	return false
}

// rows are what fingers run along.
var rows = []string{
	"01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba",
	"qwertyuiop[]asdfghjkl;'zxcvbnm,./", "qwertzuiopü+asdfghjklöä#yxcvbnm,.-", "azertyuiopqsdfghjklmwxcvbn", "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
	"q1w2e3r4t5y6u7i8o9p0", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujmikolp",
}

func counts(text string) bool {
	text = strings.ToLower(text)
	for _, row := range rows {
		if strings.Contains(row, text) {
			return true
		}
	}
	return false
}

//go:embed common.txt
var commonText string

var common = sync.OnceValue(func() map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(commonText) {
		if word := strings.TrimSpace(line); word != "" && word[0] != '#' {
			set[word] = true
		}
	}
	return set
})

// isCommon reports whether a text is a common password or word, or two of
// them, in whatever case and with whatever digits and signs around:
// "Berth2026!!!", "passwordpassword", "P@ssw0rd1234".
func isCommon(text string) bool {
	lower := strings.ToLower(text)
	core := strings.TrimFunc(lower, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, s := range []string{lower, core, unleet.Replace(lower), unleet.Replace(core)} {
		if s == "" || common()[s] {
			return true
		}
		for i := range s {
			if common()[s[:i]] && common()[strings.TrimLeft(s[i:], "-_. ")] {
				return true
			}
		}
	}
	return false
}

var unleet = strings.NewReplacer("@", "a", "4", "a", "3", "e", "1", "i", "!", "i", "0", "o", "$", "s", "5", "s", "7", "t")
