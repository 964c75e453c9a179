package index

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	if again, err := signedIndex.Marshal(signer); err != nil || !bytes.Equal(again, signed) {
		t.Errorf("written again: other bytes, or %v", err)
	}
}

// TestInvalid holds the exact words about each index that is refused.
func TestInvalid(t *testing.T) {
	_, foreign := newKey(t, "baz.example/bazaar")
	v, err := note.NewVerifier(foreign)
	if err != nil {
		t.Fatal(err)
	}
	_, own := newKey(t, "baz.example")
	w, err := note.NewVerifier(own)
	if err != nil {
		t.Fatal(err)
	}
	requires := func(alias string, d manifest.Dependency) func(*Index) {
		return func(i *Index) { i.Versions[0].Requires = map[string]manifest.Dependency{alias: d} }
	}
	url := func(u string) func(*Index) { return func(i *Index) { i.Versions[0].URL = u } }
	badURL := func(u string) string {
		return fmt.Sprintf(`version "v2.1.0": %q is neither a path below the index nor an https URL`, u)
	}
	tests := []struct {
		change func(*Index)
		want   string
	}{
		{func(i *Index) { i.Package = "Baz" }, `invalid name: package path "Baz": missing dot in first path element`},
		{func(i *Index) { i.Package = "baz.example/baz/v2" }, `invalid name: package path "baz.example/baz/v2" ends in /v2: leave it out, the major version is part of the version`},
		{func(i *Index) { i.Serial = 0 }, `serial is missing`},
		{func(i *Index) { i.Versions[0], i.Versions[1] = i.Versions[1], i.Versions[0] }, `version v2.1.0 comes after v2.5.1: versions must ascend`},
		{func(i *Index) { i.Versions[1] = i.Versions[0] }, `version v2.1.0 comes after v2.1.0: versions must ascend`},
		{func(i *Index) { i.Versions[0].Version = "2.1.0" }, `version "2.1.0": invalid name: version "2.1.0" is not of the form v1.2.3`},
		{func(i *Index) { i.Versions[0].Version = "v2.1" }, `version "v2.1": invalid name: version "v2.1" is not complete: write v2.1.0`},
		{func(i *Index) { i.Versions[0].Version = "v2.1.0+a" }, `version "v2.1.0+a": invalid name: version "v2.1.0+a" has build metadata (+a), which does not tell versions apart`},
		{url(""), badURL("")},
		{url("."), badURL(".")},
		{url("../x.zip"), badURL("../x.zip")},
		{url("%2e%2e/x.zip"), badURL("%2e%2e/x.zip")},
		{url("a/../../x.zip"), badURL("a/../../x.zip")},
		{url("/x.zip"), badURL("/x.zip")},
		{url("x.zip?y"), badURL("x.zip?y")},
		{url("x.zip#y"), badURL("x.zip#y")},
		{url("%zz"), badURL("%zz")},
		{url("//evil.example/x.zip"), badURL("//evil.example/x.zip")},
		{url("http://x.example/x.zip"), badURL("http://x.example/x.zip")},
		{url("https:///x.zip"), badURL("https:///x.zip")},
		{url("https:x.example/x.zip"), badURL("https:x.example/x.zip")},
		{url("https://me:pw@x.example/x.zip"), badURL("https://me:pw@x.example/x.zip")},
		{url("file:///etc/passwd"), badURL("file:///etc/passwd")},
		{func(i *Index) { i.Versions[0].SHA256 = "ab" }, `version "v2.1.0": "ab" is not a SHA-256 hash in hexadecimal`},
		{func(i *Index) { i.Versions[0].H1 = "h2:x" }, `version "v2.1.0": "h2:x" is not an h1 hash`},
		{func(i *Index) { i.Versions[0].H1 = "h1:YWJj" }, `version "v2.1.0": "h1:YWJj" is not an h1 hash`},
		{func(i *Index) { i.Versions[0].Size = -1 }, `version "v2.1.0": size is missing`},
		{requires("a", manifest.Dependency{Package: "a", Version: "v1.0.0"}), `version "v2.1.0": requires "a": invalid name: package path "a": missing dot in first path element`},
		{requires("a", manifest.Dependency{Package: "a.example", Version: "v1"}), `version "v2.1.0": requires "a": invalid name: version "v1" is not complete: write v1.0.0`},
		{requires("a", manifest.Dependency{Package: "a.example", Version: "v1.0.0", Policy: "any"}), `version "v2.1.0": requires "a": "any" is no policy: write patch, exact or compatible`},
		{requires("A", manifest.Dependency{Package: "a.example", Version: "v1.0.0"}), `version "v2.1.0": requires "A": a dependency is called by a name of at most 63 lower-case letters, digits, - and _, which begins with a letter`},
		{func(i *Index) { i.Versions[0].Retracted = strings.Repeat("x", MaxReason+1) }, `version "v2.1.0": the reason of the retraction has 1001 bytes; the most is 1000`},
		{func(i *Index) { i.Versions[0].Retracted = "\x1b[2J" }, `version "v2.1.0": the reason of the retraction has control characters`},
		{func(i *Index) { i.Keys = []string{"x"} }, `key "x": malformed verifier id`},
		{func(i *Index) { i.Keys = []string{foreign} }, fmt.Sprintf(`key baz.example/bazaar+%08x is neither for baz.example/baz nor for a path above it`, v.KeyHash())},
		{func(i *Index) { i.Keys = []string{own, own} }, fmt.Sprintf(`key baz.example+%08x is listed twice`, w.KeyHash())},
		{func(i *Index) { i.Keys = []string{own} }, `it lists keys, and its signature is missing`},
		{func(i *Index) { i.Keys = make([]string, 9) }, `9 keys; the most is 8`},
		{func(i *Index) { i.Versions = make([]Version, MaxVersions+1) }, `20001 versions; the most is 20000`},
	}
	for _, tt := range tests {
		idx := sample(1)
		tt.change(idx)
		b, err := json.Marshal(idx)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Read(b); !errors.Is(err, ErrInvalid) || err.Error() != "invalid index: "+tt.want {
			t.Errorf("got\n%v\nwant\n%s", err, tt.want)
		}
	}
	for text, want := range map[string]string{
		"":                             "neither JSON nor a signed note",
		"<html>":                       "neither JSON nor a signed note",
		"[]":                           "neither JSON nor a signed note",
		"{":                            "unexpected EOF",
		"{}":                           `invalid name: package path "": empty string`,
		`{"serial":-1}`:                "json: cannot unmarshal number -1 into Go struct field Index.serial of type uint64",
		`{"package":"a.example"} {}`:   "it goes on after its JSON value",
		`{"package":"a.example"} }`:    "it goes on after its JSON value",
		strings.Repeat(" ", MaxSize+1): "4194305 bytes; the most is 4194304",
	} {
		if _, _, err := Read([]byte(text)); !errors.Is(err, ErrInvalid) || err.Error() != "invalid index: "+want {
			t.Errorf("Read(%.30q): got\n%v\nwant\n%s", text, err, want)
		}
	}
}

// TestSignatures holds what is said of notes that were tampered with.
func TestSignatures(t *testing.T) {
	signer, vkey := newKey(t, "baz.example")
	second, vkey2 := newKey(t, "baz.example/baz")
	sign := func(keys []string, signers ...note.Signer) []byte {
		idx := sample(3)
		idx.Keys = keys
		text, err := json.Marshal(idx)
		if err != nil {
			t.Fatal(err)
		}
		b, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := sign([]string{vkey}, signer)
	text, signature, _ := strings.Cut(string(good), "\n\n")
	altered := func(from, to string) []byte { return bytes.Replace(good, []byte(from), []byte(to), 1) }
	tests := []struct {
		name string
		note []byte
		want string // in the error; "" for none
		by   []string
	}{
		{"one key", good, "", []string{vkey}},
		{"two keys", sign([]string{vkey, vkey2}, signer, second), "", []string{vkey, vkey2}},
		{"one of two listed", sign([]string{vkey, vkey2}, second), "", []string{vkey2}},
		{"a witness beside it", sign([]string{vkey}, signer, second), "", []string{vkey}},
		{"altered", altered("v2.1.0.zip", "v2.1.9.zip"), "it was changed after it was signed", nil},
		{"signature removed", []byte(text + "\n"), "it lists keys, and its signature is missing", nil},
		{"signed by another", sign([]string{vkey}, second), "it is signed by none of the keys that it lists", nil},
		{"lists no key", sign(nil, signer), "it is signed by none of the keys that it lists", nil},
		{"signature cut", []byte(text + "\n\n" + signature[:20] + "\n"), "malformed note", nil},
		{"no text", []byte("\n\n" + signature), "neither JSON nor a signed note", nil},
		{"another text in front", append([]byte(text+"\n\n— x AAAAAAAA\n\n"), signature...), "it goes on after its JSON value", nil},
	}
	for _, tt := range tests {
		_, by, err := Read(tt.note)
		if tt.want == "" && (err != nil || !slices.Equal(by, tt.by)) {
			t.Errorf("%s: %v, %v; want %v", tt.name, by, err, tt.by)
		}
		if tt.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %s", tt.name, err, tt.want)
		}
	}

	idx := sample(3)
	idx.Keys = []string{vkey, vkey2}
	if _, err := idx.Marshal(signer); err == nil || err.Error() != "invalid index: it lists 2 keys, and is signed by 1 of them" {
		t.Errorf("written with a key missing: %v", err)
	}
	if _, err := idx.Marshal(); err == nil {
		t.Error("written with keys, without a signature")
	}
}

func TestPins(t *testing.T) {
	_, old := newKey(t, "baz.example/baz")
	_, other := newKey(t, "baz.example/baz")
	const stop = "SECURITY: the index of baz.example/baz cannot be trusted.\n"
	const stays = "\nNothing was changed: what is installed stays and goes on running.\n"
	tests := []struct {
		name    string
		before  *Pin
		serial  uint64
		signers []string
		want    string // the error; "" for none
	}{
		{"first sight, unsigned", nil, 1, nil, ""},
		{"first sight, signed", nil, 1, []string{old}, ""},
		{"still unsigned", &Pin{Serial: 1}, 2, nil, ""},
		{"begins to sign", &Pin{Serial: 1}, 2, []string{old}, ""},
		{"same key, same serial", &Pin{[]string{old}, 1}, 1, []string{old}, ""},
		{"same key", &Pin{[]string{old}, 1}, 2, []string{old}, ""},
		{"rotation begins", &Pin{[]string{old}, 1}, 2, []string{old, other}, ""},
		{"rotation ends", &Pin{[]string{old, other}, 1}, 2, []string{other}, ""},
		{"rotation is given up", &Pin{[]string{old, other}, 1}, 2, []string{old}, ""},
		{"not signed any more", &Pin{[]string{old}, 1}, 2, nil, stop +
			"It was signed before and is not any more." + stays +
			"Ask the publisher. Until he signs again with " + KeyNames([]string{old}) + ", updates of this package stay off."},
		{"another key", &Pin{[]string{old}, 1}, 2, []string{other}, stop +
			"It is signed by " + KeyNames([]string{other}) + ", and not by " + KeyNames([]string{old}) + " as before. Its server or its domain may be in other hands." + stays +
			"Ask the publisher by another way than his web site. A publisher who changes his key signs with both for a while."},
		{"the old key after a rotation", &Pin{[]string{other}, 1}, 2, []string{old}, stop +
			"It is signed by " + KeyNames([]string{old}) + ", and not by " + KeyNames([]string{other}) + " as before. Its server or its domain may be in other hands." + stays +
			"Ask the publisher by another way than his web site. A publisher who changes his key signs with both for a while."},
		{"going back", &Pin{[]string{old}, 5}, 4, []string{old}, stop +
			"It went back from serial 5 to 4: someone serves an old list, which may hide fixes and retractions." + stays +
			"Try again later. If it stays so, ask the publisher whether his files were restored from a copy; he then publishes with a higher serial."},
	}
	for _, tt := range tests {
		next, err := Next(tt.before, sample(tt.serial), tt.signers)
		if tt.want == "" {
			if err != nil || next.Serial != tt.serial || !slices.Equal(next.Keys, tt.signers) {
				t.Errorf("%s: %+v, %v", tt.name, next, err)
			}
			continue
		}
		var e *PinError
		if !errors.As(err, &e) || err.Error() != tt.want || next.Serial != tt.before.Serial || !slices.Equal(next.Keys, tt.before.Keys) {
			t.Errorf("%s: %+v, got\n%v\nwant\n%s", tt.name, next, err, tt.want)
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
		idx, signers, err := Read(b)
		if err != nil {
			return
		}
		if len(signers) == 0 && len(idx.Keys) > 0 {
			t.Fatal("accepted as unsigned, with keys")
		}
		idx.Keys = nil
		again, err := idx.Marshal()
		if err != nil {
			t.Fatalf("accepted, but cannot be written: %v", err)
		}
		if _, _, err := Read(again); err != nil {
			t.Fatalf("written, but cannot be read: %v", err)
		}
	})
}
