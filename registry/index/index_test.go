package index

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/berth-host/berth/registry/manifest"
)

func sample(serial uint64) *Index {
	entry := func(v string) Version {
		return Version{Version: v, Time: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), URL: "baz-" + v + ".zip", Size: 100,
			H1: "h1:" + strings.Repeat("A", 43) + "=", SHA256: strings.Repeat("ab", 32)}
	}
	second := entry("v2.5.1")
	second.Requires = map[string]manifest.Dependency{"util": {Package: "util.example/util", Version: "v0.3.0", Policy: "patch"}}
	return &Index{Package: "baz.example/baz", Serial: serial, Updated: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC), Versions: []Version{entry("v2.1.0"), second}}
}

func newKey(t *testing.T, name string) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return signer, vkey
}

func TestRoundTrip(t *testing.T) {
	bare, err := sample(3).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	idx, signers, err := Read(bare)
	if err != nil || signers != nil || idx.Find("v2.5.1").Requires["util"].Version != "v0.3.0" || idx.Find("v9.0.0") != nil {
		t.Fatalf("bare: %+v, %v, %v", idx, signers, err)
	}
	signer, vkey := newKey(t, "baz.example/baz")
	signedIndex := sample(3)
	signedIndex.Keys = []string{vkey}
	signed, err := signedIndex.Marshal(signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, signers, err = Read(signed); err != nil || len(signers) != 1 || signers[0] != vkey {
		t.Fatalf("signed: %v, %v", signers, err)
	}
	if _, _, err := Read(bytes.Replace(signed, []byte("v2.1.0.zip"), []byte("v2.1.9.zip"), 1)); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("altered after signing: %v", err)
	}
}

func TestInvalid(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Index)
		want   string
	}{
		{"package", func(i *Index) { i.Package = "Baz" }, "missing dot"},
		{"serial", func(i *Index) { i.Serial = 0 }, "serial is missing"},
		{"order", func(i *Index) { i.Versions[0], i.Versions[1] = i.Versions[1], i.Versions[0] }, "versions must ascend"},
		{"twice", func(i *Index) { i.Versions[1] = i.Versions[0] }, "versions must ascend"},
		{"version", func(i *Index) { i.Versions[0].Version = "2.1.0" }, "not of the form"},
		{"build", func(i *Index) { i.Versions[0].Version = "v2.1.0+a" }, "build metadata"},
		{"url up", func(i *Index) { i.Versions[0].URL = "../x.zip" }, "neither a path below"},
		{"url root", func(i *Index) { i.Versions[0].URL = "/x.zip" }, "neither a path below"},
		{"url http", func(i *Index) { i.Versions[0].URL = "http://x.example/x.zip" }, "neither a path below"},
		{"url file", func(i *Index) { i.Versions[0].URL = "file:///etc/passwd" }, "neither a path below"},
		{"url host", func(i *Index) { i.Versions[0].URL = "//evil.example/x.zip" }, "neither a path below"},
		{"url empty", func(i *Index) { i.Versions[0].URL = "" }, "is not a URL"},
		{"sha256", func(i *Index) { i.Versions[0].SHA256 = "ab" }, "not a SHA-256"},
		{"h1", func(i *Index) { i.Versions[0].H1 = "h2:x" }, "not an h1"},
		{"size", func(i *Index) { i.Versions[0].Size = -1 }, "size is missing"},
		{"requires", func(i *Index) {
			i.Versions[0].Requires = map[string]manifest.Dependency{"a": {Package: "a", Version: "v1.0.0"}}
		}, "requires a"},
		{"reason", func(i *Index) { i.Versions[0].Retracted = strings.Repeat("x", MaxReason+1) }, "the most is 1000"},
	}
	for _, tt := range tests {
		idx := sample(1)
		tt.change(idx)
		if err := idx.Check(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	for text, want := range map[string]string{
		"": "neither JSON nor", "<html>": "neither JSON nor", "{": "unexpected EOF", "{}": "empty", `{"serial":"x"}`: "cannot unmarshal",
		strings.Repeat(" ", MaxSize+1): "the most is", `{"package":"a.example"} {}`: "goes on after",
	} {
		if _, _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%.20q): %v, want %q", text, err, want)
		}
	}
}

func TestPins(t *testing.T) {
	_, old := newKey(t, "baz.example/baz")
	_, other := newKey(t, "baz.example/baz")
	tests := []struct {
		name    string
		before  *Pin
		serial  uint64
		signers []string
		want    string // in the error; "" for none
	}{
		{"first sight, unsigned", nil, 1, nil, ""},
		{"first sight, signed", nil, 1, []string{old}, ""},
		{"begins to sign", &Pin{Serial: 1}, 2, []string{old}, ""},
		{"same key", &Pin{[]string{old}, 1}, 2, []string{old}, ""},
		{"rotation", &Pin{[]string{old}, 1}, 2, []string{old, other}, ""},
		{"not signed any more", &Pin{[]string{old}, 1}, 2, nil, "signed before and is not any more"},
		{"another key", &Pin{[]string{old}, 1}, 2, []string{other}, "in other hands"},
		{"going back", &Pin{[]string{old}, 5}, 4, []string{old}, "from serial 5 to 4"},
	}
	for _, tt := range tests {
		next, err := Next(tt.before, sample(tt.serial), tt.signers)
		if tt.want == "" {
			if err != nil || next.Serial != tt.serial || len(next.Keys) != len(tt.signers) {
				t.Errorf("%s: %+v, %v", tt.name, next, err)
			}
			continue
		}
		var e *PinError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || next.Serial != tt.before.Serial {
			t.Errorf("%s: %+v, %v; want %q", tt.name, next, err, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	bare, err := sample(1).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bare)
	f.Add([]byte("{\"package\":\"a.example\"}\n\n— a.example AAAA\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		idx, _, err := Read(b)
		if err != nil {
			return
		}
		again, err := idx.Marshal()
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		if _, _, err := Read(again); err != nil {
			t.Fatalf("written, but cannot be read: %v", err)
		}
	})
}
