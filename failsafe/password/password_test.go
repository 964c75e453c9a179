package password

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const right = "five blue whales sing"

// owner returns the owner of a new server, whose password is cheap to verify.
func owner(t *testing.T, password string) *Owner {
	t.Helper()
	o := In(filepath.Join(t.TempDir(), "data"))
	o.costs = costs{memory: 8 << 10, passes: 1, lanes: 1}
	if password != "" {
		if err := o.Set(password); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func TestPassword(t *testing.T) {
	o := owner(t, "")
	if err := o.Verify(t.Context(), right); !errors.Is(err, ErrNone) || o.IsSet() {
		t.Errorf("before any is set: Verify = %v, IsSet = %v; want ErrNone, false", err, o.IsSet())
	}
	if err := o.Set(right); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{right: nil, "": ErrWrong, right + " ": ErrWrong, strings.ToUpper(right): ErrWrong, strings.Repeat("x", 1<<20): ErrWrong} {
		if err := o.Verify(t.Context(), text); !errors.Is(err, want) {
			t.Errorf("Verify(%.30q) = %v, want %v", text, err, want)
		}
	}
	for _, name := range []string{FileName, copyName} {
		info, err := os.Stat(filepath.Join(o.folder, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info.Mode(), err)
		}
		if data, _ := os.ReadFile(filepath.Join(o.folder, name)); bytes.Contains(data, []byte(right)) {
			t.Errorf("%s holds the password", name)
		}
	}
	if err := o.Set("a second good one"); err != nil {
		t.Fatal(err)
	}
	if err := o.Verify(t.Context(), right); !errors.Is(err, ErrWrong) {
		t.Errorf("the old password: %v, want ErrWrong", err)
	}
}

// TestAnyCharacters holds that a password is taken as it is.
func TestAnyCharacters(t *testing.T) {
	o := owner(t, "")
	for _, text := range []string{"пароль из слов", "smörgåsbord ok", "smo\u0308rga\u030asbord ok", "tab\tand\nnewline", "\xff\xfe not UTF-8 \x00", strings.Repeat("ab cd ef ", 113)} {
		if err := o.Set(text); err != nil {
			t.Errorf("Set(%q) = %v", text, err)
			continue
		}
		if err := o.Verify(t.Context(), text); err != nil {
			t.Errorf("Verify(%q) = %v", text, err)
		}
	}
}

func TestRehash(t *testing.T) {
	o := owner(t, right)
	o.costs.passes = 2
	if err := o.Verify(t.Context(), "not this one"); !errors.Is(err, ErrWrong) {
		t.Fatal(err)
	}
	if h, _, _ := o.stored(); h.passes != 1 {
		t.Error("a wrong password was hashed anew")
	}
	if err := o.Verify(t.Context(), right); err != nil {
		t.Fatal(err)
	}
	if h, _, _ := o.stored(); h.passes != 2 {
		t.Errorf("after a login the hash has %d passes, want 2", h.passes)
	}
	if err := o.Verify(t.Context(), right); err != nil {
		t.Errorf("with the new hash: %v", err)
	}
}

// TestDamage holds that a damaged file neither lets anybody in nor keeps the
// owner out while the copy is whole.
func TestDamage(t *testing.T) {
	damage := map[string]func(path string) error{
		"empty":       func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"noise":       func(p string) error { return os.WriteFile(p, []byte("\x00\xff$argon2id$"), 0o600) },
		"huge":        func(p string) error { return os.Truncate(p, 1<<30) },
		"a folder":    func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
		"one changed": func(p string) error { return flip(p, 60) },
	}
	for name, damage := range damage {
		t.Run(name, func(t *testing.T) {
			o := owner(t, right)
			if err := damage(filepath.Join(o.folder, FileName)); err != nil {
				t.Fatal(err)
			}
			if err := o.Verify(t.Context(), right); err != nil {
				t.Errorf("with a whole copy: %v", err)
			}
			if err := damage(filepath.Join(o.folder, copyName)); err != nil {
				t.Fatal(err)
			}
			if err := o.Verify(t.Context(), right); !errors.Is(err, ErrDamaged) || !o.IsSet() {
				t.Errorf("with a damaged copy: Verify = %v, IsSet = %v; want ErrDamaged, true", err, o.IsSet())
			}
		})
	}
}

// flip changes the n-th byte of a file to another that may stand there.
func flip(path string, n int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if data[n] == 'A' {
		data[n] = 'B'
	} else {
		data[n] = 'A'
	}
	return os.WriteFile(path, data, 0o600)
}

func TestRemovedFileIsNoPassword(t *testing.T) {
	o := owner(t, right)
	if err := os.Remove(filepath.Join(o.folder, FileName)); err != nil {
		t.Fatal(err)
	}
	if err := o.Verify(t.Context(), right); !errors.Is(err, ErrNone) {
		t.Errorf("Verify = %v, want ErrNone", err)
	}
}

func TestSetFailsWhole(t *testing.T) {
	o := owner(t, right)
	if err := o.Set("short"); !errors.Is(err, ErrWeak) {
		t.Errorf("Set of a short one = %v, want ErrWeak", err)
	}
	// A folder in its place can't be replaced, by no user.
	path := filepath.Join(o.folder, copyName)
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700), os.WriteFile(filepath.Join(path, "x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := o.Set("a second good one"); err == nil {
		t.Error("Set on a disk that takes nothing: no error")
	}
	if err := o.Verify(t.Context(), right); err != nil {
		t.Errorf("the old password after a failed change: %v", err)
	}
}

func TestGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(right + "\r\n")
	t.Setenv(Variable, "a password by environment")
	text, source, err := Given(file)
	if text != right || err != nil || !strings.Contains(source, file) {
		t.Errorf("Given(file) = %q, %q, %v; want that of the file", text, source, err)
	}
	text, source, err = Given("")
	if text != "a password by environment" || err != nil || !strings.Contains(source, Variable) {
		t.Errorf("Given() = %q, %q, %v; want that of the environment", text, source, err)
	}

	o := owner(t, "the stored password")
	o.Use(text, source)
	if err := o.Verify(t.Context(), text); err != nil || o.Source() != source {
		t.Errorf("the given password: %v, source %q", err, o.Source())
	}
	if err := o.Verify(t.Context(), "the stored password"); !errors.Is(err, ErrWrong) {
		t.Errorf("the stored one while another is given: %v, want ErrWrong", err)
	}

	Hide()
	if text, _, err := Given(""); text != "" || err != nil {
		t.Errorf("Given() after Hide = %q, %v; want none", text, err)
	}
	for text, want := range map[string]error{"short\n": ErrWeak, strings.Repeat("x y z", 1000): nil} {
		put(text)
		if got, _, err := Given(file); err == nil || want != nil && !errors.Is(err, want) || got != "" {
			t.Errorf("Given(file with %.10q) = %q, %v; want an error", text, got, err)
		} else if strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("the error %v tells the password", err)
		}
	}
	if _, _, err := Given(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Given(no file) = %v", err)
	}
}

func TestCheck(t *testing.T) {
	for text, part := range map[string]string{
		"short":                        "5 characters of at least 12",
		"éééééé":                       "", // 12 bytes, but repeated
		"aaaaaaaaaaaaaa":               "repeats",
		"abcabcabcabcabc":              "repeats",
		"123456789012":                 "neighbours",
		"Qwertyuiop[]":                 "neighbours",
		"1qaz2wsx3edc":                 "neighbours",
		"password1234":                 "tried first",
		"P@ssw0rd2026":                 "tried first",
		"Berth2026!!!":                 "tried first",
		"berth-admin-1":                "tried first",
		"passwordpassword":             "tried first",
		"correct horse battery staple": "tried first",
		"letmeinletmein":               "tried first",
		strings.Repeat("x", 1025):      "longer than 1024",
		"five blue whales sing":        "ok",
		"Tr0ub4dor&3 and more":         "ok",
		"berth lies in the harbour":    "ok",
		"xK9#mQ2$vL7!":                 "ok",
	} {
		err := Check(text)
		if part == "ok" {
			if err != nil {
				t.Errorf("Check(%q) = %v, want nil", text, err)
			}
			continue
		}
		if !errors.Is(err, ErrWeak) || !strings.Contains(err.Error(), part) {
			t.Errorf("Check(%.30q) = %v, want ErrWeak with %q", text, err, part)
		} else if strings.Contains(err.Error(), text) {
			t.Errorf("Check(%q): the error tells the password", text)
		}
	}
}

// TestFlood holds that many logins at once are verified two at a time, and
// that who waits can go away.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := owner(t, right)
		bubbled := make(chan struct{}, cap(slots))
		old := slots
		slots = bubbled
		defer func() { slots = old }()
		slots <- struct{}{}
		slots <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var waiting sync.WaitGroup
		for range 50 {
			waiting.Go(func() {
				if err := o.Verify(ctx, right); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Verify while two others run = %v, want the end of the context", err)
				}
			})
		}
		waiting.Wait()
		<-slots
		if err := o.Verify(t.Context(), right); err != nil {
			t.Errorf("Verify while one other runs = %v", err)
		}
	})
}

// TestForeignHash takes a hash that another program made, from the tests of
// the reference implementation of Argon2.
func TestForeignHash(t *testing.T) {
	h, err := parseFile([]byte("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\n"))
	if err != nil || !h.matches("password") || h.matches("passwort") {
		t.Errorf("%v, matches %v, want only the password to match", err, h.matches("password"))
	}
}

func FuzzFile(f *testing.F) {
	f.Add(newHash("any", leastCosts).file())
	f.Add([]byte(newHash("any", leastCosts).String()))
	f.Add([]byte("$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseFile(data)
		if err != nil {
			if !errors.Is(err, errParse) {
				t.Errorf("the error does not wrap errParse: %v", err)
			}
			return
		}
		if h.memory > mostCosts.memory || h.passes > mostCosts.passes || h.lanes > mostCosts.lanes || len(h.sum) < 16 {
			t.Errorf("%q asks for %+v with %d bytes", data, h.costs, len(h.sum))
		}
		again, err := parseFile(h.file())
		if err != nil || again.String() != h.String() {
			t.Errorf("what was read can't be read again: %v", err)
		}
	})
}
