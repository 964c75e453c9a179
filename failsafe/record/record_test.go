package record

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/berth-host/berth/failsafe/smallfile"
)

var sample = Boot{
	Attempt: 2, Mode: "normal", Options: []string{"without=baz.example/baz"}, Reason: "asked by the owner",
	State: Probation, Phase: "serve", Revision: "r17", LastGood: "r16",
	Started:    Time{Since: 3 * time.Second, Wall: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
	LastGoodAt: Time{Since: time.Second, Wall: time.Date(2026, 1, 2, 3, 4, 3, 0, time.UTC)},
}

func TestBootComesBack(t *testing.T) {
	f := In(t.TempDir())
	if _, err := f.Boot(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Boot() before any = %v, want fs.ErrNotExist", err)
	}
	if err := f.SetBoot(sample); err != nil {
		t.Fatal(err)
	}
	got, err := f.Boot()
	if err != nil {
		t.Fatal(err)
	}
	if !equal(t, got, sample) {
		t.Errorf("Boot() = %+v, want %+v", got, sample)
	}
}

func equal(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := encode("", a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := encode("", b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}

// TestHostileFiles puts everything but a record where a record should be.
func TestHostileFiles(t *testing.T) {
	whole, err := encode(kindBoot, sample)
	if err != nil {
		t.Fatal(err)
	}
	crash, err := encode(kindCrash, Crash{})
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 10_000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-5] ^= 1
	file := func(data []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, data, 0o600) }
	}
	for name, tc := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"empty":               {file(nil), "does not begin as a record does"},
		"noise":               {file(noise), "does not begin as a record does"},
		"cut off":             {file(whole[:len(whole)-1]), "checksum"},
		"head only":           {file(whole[:20]), "does not begin as a record does"},
		"one bit flipped":     {file(flipped), "checksum"},
		"of another kind":     {file(crash), "checksum"},
		"followed by more":    {file(append(bytes.Clone(whole), '\n')), "checksum"},
		"too large":           {file(make([]byte, maxBoot+1)), "more than 65536 bytes"},
		"a folder":            {func(p string) error { return os.Mkdir(p, 0o700) }, "is no file but d"},
		"a link to something": {func(p string) error { return os.Symlink(os.DevNull, p) }, "is no file but L"},
		"JSON of other types": {file(must(encode(kindBoot, map[string]string{"attempt": "two"}))), "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			f := In(t.TempDir())
			if err := os.Mkdir(f.Path(), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tc.put(filepath.Join(f.Path(), bootName)); err != nil {
				t.Fatal(err)
			}
			b, err := f.Boot()
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tc.want) || !equal(t, b, Boot{}) {
				t.Errorf("Boot() = %+v, %v; want none, and an error with %q", b, err, tc.want)
			}
		})
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestCrashesKeepsTheLast(t *testing.T) {
	f := In(t.TempDir())
	for i := range MaxCrashes + 5 {
		c, err := f.AddCrash(Crash{Code: i})
		if err != nil {
			t.Fatal(err)
		}
		if c.ID != i+1 {
			t.Fatalf("crash %d got ID %d, want %d", i, c.ID, i+1)
		}
	}
	names, err := os.ReadDir(f.Path())
	if err != nil || len(names) != MaxCrashes {
		t.Errorf("%d files, %v; want %d", len(names), err, MaxCrashes)
	}
	crashes, err := f.Crashes()
	if err != nil || len(crashes) != MaxCrashes {
		t.Fatalf("Crashes() = %d, %v; want %d", len(crashes), err, MaxCrashes)
	}
	if first, last := crashes[0].Code, crashes[MaxCrashes-1].Code; first != MaxCrashes+4 || last != 5 {
		t.Errorf("crashes from code %d to %d, want %d to 5", first, last, MaxCrashes+4)
	}
}

func TestCrashesReadsAroundDamage(t *testing.T) {
	f := In(t.TempDir())
	for range 3 {
		if _, err := f.AddCrash(Crash{Message: "it broke"}); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range map[string]string{"crash-000002.record": "noise", "crash-1.record": "other name", "crash-x.record": "", "crash-999999999999.record": ""} {
		if err := os.WriteFile(filepath.Join(f.Path(), name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	crashes, err := f.Crashes()
	if len(crashes) != 2 || crashes[0].ID != 3 || crashes[1].ID != 1 {
		t.Errorf("Crashes() = %+v, want those with ID 3 and 1", crashes)
	}
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "crash record 2") {
		t.Errorf("Crashes() error = %v, want that record 2 is damaged", err)
	}
	if c, err := f.AddCrash(Crash{}); c.ID != 4 || err != nil {
		t.Errorf("AddCrash = ID %d, %v; want 4", c.ID, err)
	}
}

func TestNoFolder(t *testing.T) {
	if crashes, err := In(filepath.Join(t.TempDir(), "nothing")).Crashes(); len(crashes) != 0 || err != nil {
		t.Errorf("Crashes() without folder = %v, %v; want none", crashes, err)
	}
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, folderName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := In(data)
	if crashes, err := f.Crashes(); len(crashes) != 0 || !errors.Is(err, ErrDamaged) {
		t.Errorf("Crashes() with a file in place of the folder = %v, %v; want ErrDamaged", crashes, err)
	}
	if err := f.SetBoot(sample); err == nil {
		t.Error("SetBoot with a file in place of the folder: no error")
	}
	if c, err := f.AddCrash(Crash{Message: "password=hunter2hunter2"}); err == nil || strings.Contains(c.Message, "hunter2") {
		t.Errorf("AddCrash with a file in place of the folder = %+v, %v; want the cleaned record and an error", c, err)
	}
}

// TestLongestCrashFits proves that what is written can be read: the worst
// texts for JSON are still below the limit for the file.
func TestLongestCrashFits(t *testing.T) {
	for _, worst := range []string{`"`, "\\", "\u2028", "\x00", "\xff", "<", "é"} {
		text := strings.Repeat(worst, 2*MaxTail)
		f := In(t.TempDir())
		c, err := f.AddCrash(Crash{Message: text, Phase: text, Revision: text, Module: text, Stderr: text, Output: text})
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Stderr) > MaxTail || len(c.Output) > MaxTail || len(c.Message) > MaxMessage {
			t.Errorf("%q: texts of %d, %d and %d bytes", worst, len(c.Stderr), len(c.Output), len(c.Message))
		}
		if _, err := f.Crash(c.ID); err != nil {
			t.Errorf("%q: %v", worst, err)
		}
	}
}

func TestDoor(t *testing.T) {
	f := In(t.TempDir())
	d := Door{Address: ":8443", Console: "console.site.example", Certificates: []Certificate{{Name: "site.example", Chain: [][]byte{{1}, {2}}, Key: []byte{3}}}}
	for range 2 {
		if err := f.SetDoor(d); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Door(); err != nil || !equal(t, got, d) {
			t.Errorf("Door() = %+v, %v; want %+v", got, err, d)
		}
	}
	if info, err := os.Stat(filepath.Join(f.Path(), doorName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v; want 0600", info.Mode(), err)
	}
	d.Certificates = nil
	for range 2 {
		if err := f.SetDoor(d); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Door(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Door() without certificates = %v, want fs.ErrNotExist", err)
		}
	}
}

func TestSweep(t *testing.T) {
	f := In(t.TempDir())
	if err := f.SetBoot(sample); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(f.Path(), smallfile.TempPrefix+"123")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Sweep()
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the left-over is still there: %v", err)
	}
	if _, err := f.Boot(); err != nil {
		t.Error(err)
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"Authorization: Bearer abcdefghijkl":                                 "Authorization: [redacted]",
		"Authorization: Basic dXNlcjpwYXNz\nHost: a.example":                 "Authorization: [redacted]\nHost: a.example",
		`proxy-authorization="Negotiate YII="`:                               "proxy-authorization=[redacted]",
		"Cookie: session=abc; theme=dark":                                    "Cookie: [redacted]",
		"set-cookie: session=abc":                                            "set-cookie: [redacted]",
		"used bearer eyJhbGciOi.J9.abc twice":                                "used bearer [redacted] twice",
		"password=hunter2 user=jimmy":                                        "password=[redacted] user=jimmy",
		"PASSWORD: hunter2":                                                  "PASSWORD: [redacted]",
		`{"client_secret":"a \"quoted\" one","user":"jimmy"}`:                `{"client_secret":[redacted],"user":"jimmy"}`,
		"BERTH_ADMIN_PASSWORD='two words' next":                              "BERTH_ADMIN_PASSWORD=[redacted] next",
		`form {"password":["hunter2 x"],"a":["b"]}`:                          `form {"password":[redacted],"a":["b"]}`,
		`{"X-Api-Key":["hunter2", "hunter3"]}`:                               `{"X-Api-Key":[redacted]}`,
		"map[name:[jimmy] password:[hunter2 hunter3]]":                       "map[name:[jimmy] password:[redacted]]",
		`"secret": {"value":"hunter2"}, "a":1`:                               `"secret": [redacted], "a":1`,
		"aws_secret_access_key = hunter2":                                    "aws_secret_access_key = [redacted]",
		"token=[redacted] is kept":                                           "token=[redacted] is kept",
		"api-key: 123":                                                       "api-key: [redacted]",
		"GET /?token=abc&page=2":                                             "GET /?token=[redacted]&page=2",
		"with berth_0123456789abcdef_00112233445566778899":                   "with berth_0123456789abcdef_[redacted]",
		"with berth_0123456789abcdef, cut off":                               "with berth_[redacted], cut off",
		"fetch https://jimmy:hunter2@baz.example/baz":                        "fetch https://jimmy:[redacted]@baz.example/baz",
		"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nmore": "-----BEGIN PRIVATE KEY----- [redacted]\nmore",
		"-----BEGIN EC PRIVATE KEY-----\nMIIE":                               "-----BEGIN EC PRIVATE KEY----- [redacted]",
		"berth_requests_total 7":                                             "berth_requests_total 7",
		"panic: runtime error: index out of range [3]":                       "panic: runtime error: index out of range [3]",
		"the password is wrong":                                              "the password is wrong",
		"https://baz.example/baz@v2.1.0":                                     "https://baz.example/baz@v2.1.0",
		"/berth-data/registry.db: basic checks failed":                       "/berth-data/registry.db: basic checks failed",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestCutAndTail(t *testing.T) {
	for _, tc := range []struct {
		s         string
		max       int
		cut, tail string
	}{
		{"abcdef", 6, "abcdef", "abcdef"},
		{"abcdefg", 6, "abc…", "…efg"},
		{"ééééé", 6, "é…", "…é"},
		{"abcdefg", 3, "…", "…"},
	} {
		if got := Cut(tc.s, tc.max); got != tc.cut {
			t.Errorf("Cut(%q, %d) = %q, want %q", tc.s, tc.max, got, tc.cut)
		}
		if got := Tail(tc.s, tc.max); got != tc.tail {
			t.Errorf("Tail(%q, %d) = %q, want %q", tc.s, tc.max, got, tc.tail)
		}
	}
}

func TestPlain(t *testing.T) {
	if got, want := Plain("a\x1b[31m\r\nb\tc\x7f\xff\u0085"), "a\ufffd[31m\nb\tc\ufffd\ufffd\ufffd"; got != want {
		t.Errorf("Plain = %q, want %q", got, want)
	}
}

// FuzzRecord gives arbitrary bytes to the parser, as all kinds. What it
// accepts must say the same after another round.
func FuzzRecord(f *testing.F) {
	f.Add(must(encode(kindBoot, sample)))
	f.Add(must(encode(kindCrash, Crash{Message: "it broke", Stderr: "panic: \"x\"\n"})))
	f.Add(must(encode(kindDoor, Door{Address: ":8443", Certificates: []Certificate{{Name: "a", Chain: [][]byte{{1}}}}})))
	f.Add([]byte(`{"attempt":-1,"started":{"wall":"now"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for kind, v := range map[string]any{kindBoot: &Boot{}, kindCrash: &Crash{}, kindDoor: &Door{}} {
			err := decode(data, kind, v)
			if err != nil { // most often; so again with the checksum that it needs
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("the error does not wrap ErrDamaged: %v", err)
				}
				head := fmt.Sprintf("%s %s %x\n", magic, kind, sha256.Sum256(data))
				if err := decode(append([]byte(head), data...), kind, v); err != nil {
					continue
				}
			}
			again, err := encode(kind, v)
			if err != nil {
				t.Fatalf("what was read can't be written: %v", err)
			}
			if err := decode(again, kind, v); err != nil {
				t.Errorf("what was written can't be read: %v", err)
			}
		}
	})
}

// FuzzText holds the texts to their bounds.
func FuzzText(f *testing.F) {
	f.Add("password=\"a\nb", 9)
	f.Fuzz(func(t *testing.T, s string, max int) {
		max = 3 + (max&0x7fffffff)%100
		plain := Plain(Redact(s))
		for _, got := range []string{Cut(plain, max), Tail(plain, max)} {
			if len(got) > max || !utf8.ValidString(got) {
				t.Errorf("%q of %q has %d bytes, want at most %d", got, s, len(got), max)
			}
		}
	})
}
