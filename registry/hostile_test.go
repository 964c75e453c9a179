package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/publish"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

const (
	bazID = "baz.example/baz@v2.1.0"
	bazIn = "baz.example/baz/baz-v2.1.0.zip"
)

// TestHostile has servers that lie and fail, with the text that the owner
// reads: SERVER stands for the server's address, HASH for any hash. Whatever
// happens, nothing is installed, and nothing is left once it is collected.
func TestHostile(t *testing.T) {
	tests := []struct {
		name   string
		upset  func(w *world) // after foobar 3.5, which needs baz 2.1, was published
		source string
		want   string
	}{
		{"a dependency that is nowhere", func(w *world) { os.RemoveAll(w.out(bazID)) }, "foobar.example/foobar",
			"foobar.example/foobar@v3.5.0 needs baz.example/baz: there is no package at SERVER/baz.example/baz: not found"},
		{"a dependency without a version that fits", func(w *world) {
			w.editIndex(bazID, func(idx *index.Index) { idx.Versions[0].Version = "v2.0.0"; idx.Serial++ })
		}, "foobar.example/foobar", "foobar.example/foobar@v3.5.0 requires baz.example/baz of at least v2.1.0 (patch): no version fits; published are v2.0.0"},
		{"a dependency that was retracted", func(w *world) {
			if err := publish.Retract(context.Background(), w.out(bazID), "v2.1.0", "it loses data", ""); err != nil {
				w.t.Fatal(err)
			}
		}, "foobar.example/foobar", "foobar.example/foobar@v3.5.0 requires baz.example/baz of at least v2.1.0 (patch): no version fits; published are v2.1.0 (retracted: it loses data)"},
		{"all versions retracted", func(w *world) {
			if err := publish.Retract(context.Background(), w.out(bazID), "v2.1.0", "it loses data", ""); err != nil {
				w.t.Fatal(err)
			}
		}, "baz.example/baz", "baz.example/baz has no such version: latest; published are v2.1.0 (retracted: it loses data)"},
		{"no version at all", func(w *world) {
			w.editIndex(bazID, func(idx *index.Index) { idx.Versions = nil; idx.Serial++ })
		}, "baz.example/baz", "baz.example/baz has no such version: none is published yet"},
		{"a cycle", func(w *world) {
			w.publish("baz.example/baz@v2.1.1", "foobar.example/foobar@v3.5.0")
		}, "foobar.example/foobar", "dependency cycle: foobar.example/foobar@v3.5.0 -> baz.example/baz@v2.1.1 -> foobar.example/foobar@v3.5.0"},
		{"a zip that is missing", func(w *world) { w.server.Script("/" + bazIn + " 404\n") }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: fetch SERVER/" + bazIn + ": the server answered 404 Not Found"},
		{"a zip that breaks off each time", func(w *world) { w.server.Script("/" + bazIn + " cut:100\n") }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: fetch SERVER/" + bazIn + ": the transfer broke off: unexpected EOF"},
		{"a zip without end", func(w *world) { w.server.Script("/" + bazIn + " endless\n") }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: fetch SERVER/" + bazIn + ": too large: more than 67108864 bytes"},
		{"a zip that is too large by its index", func(w *world) {
			w.editIndex(bazID, func(idx *index.Index) { idx.Versions[0].Size = 64<<20 + 1 })
		}, "foobar.example/foobar", "baz.example/baz@v2.1.0: too large: the zip has 67108865 bytes; the most is 67108864"},
		{"a zip at a private address", func(w *world) {
			w.editIndex(bazID, func(idx *index.Index) { idx.Versions[0].URL = "https://169.254.169.254/latest/x.zip" })
		}, "foobar.example/foobar", "baz.example/baz@v2.1.0: fetch https://169.254.169.254/latest/x.zip: not allowed without your permission: 169.254.169.254 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://169.254.169.254"},
		{"other bytes than the index says", func(w *world) { w.server.Write(w.t, bazIn, []byte("hello")) }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: the file is not what its index says: SERVER/" + bazIn + " has SHA-256 HASH, and the index says HASH; it was damaged on its way, or replaced"},
		{"no zip, as the index says", func(w *world) { w.replaceListed([]byte("hello")) }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: invalid package: 5 bytes are no zip"},
		{"another version's zip, as the index says", func(w *world) { w.replaceListed(w.zip("baz.example/baz@v2.1.9")) }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: the file is not what its index says: its zip holds baz.example/baz@v2.1.9"},
		{"another package's zip, as the index says", func(w *world) { w.replaceListed(w.zip("util.example/util@v2.1.0")) }, "foobar.example/foobar",
			"baz.example/baz@v2.1.0: the file is not what its index says: its zip holds util.example/util@v2.1.0"},
		{"another h1 than the index says", func(w *world) {
			w.editIndex(bazID, func(idx *index.Index) { idx.Versions[0].H1 = "h1:" + strings.Repeat("A", 43) + "=" })
		}, "foobar.example/foobar", "baz.example/baz@v2.1.0: the file is not what its index says: its zip has hash HASH, and the index says HASH"},
		{"other requirements than the index says", func(w *world) {
			w.editIndex(bazID, func(idx *index.Index) {
				idx.Versions[0].Requires = map[string]manifest.Dependency{"util": {Package: "util.example/util", Version: "v1.0.0", Policy: "patch"}}
			})
			w.publish("util.example/util@v1.0.0")
		}, "foobar.example/foobar", "baz.example/baz@v2.1.0: the file is not what its index says: its manifest requires other packages"},
		{"an index that fails", func(w *world) { w.server.Script("/baz.example/baz/berth-index.json 503\n") }, "foobar.example/foobar",
			"foobar.example/foobar@v3.5.0 needs baz.example/baz: fetch SERVER/baz.example/baz/berth-index.json: the server answered 503 Service Unavailable"},
		{"an index that is none", func(w *world) { w.server.Write(w.t, "baz.example/baz/berth-index.json", []byte(`{"package": "baz"}`)) }, "baz.example/baz",
			`SERVER/baz.example/baz/berth-index.json: invalid index: invalid name: package path "baz": missing dot in first path element`},
		{"another package's index", func(w *world) { w.copyFile("baz.example/baz/berth-index.json", "util.example/util/berth-index.json") }, "util.example/util",
			"another package's name: https://util.example/util says that it is baz.example/baz, whose home is SERVER/baz.example/baz.\nInstall it from there. If you trust this place to have it too, make it a mirror: berth settings --mirror baz.example/baz=BASE-URL, below which it lies at baz.example/baz"},
		{"another package's index for a dependency", func(w *world) {
			w.copyFile("foobar.example/foobar/berth-index.json", "baz.example/baz/berth-index.json")
		}, "foobar.example/foobar", "foobar.example/foobar@v3.5.0 needs baz.example/baz: invalid index: the one at SERVER/baz.example/baz/berth-index.json lists foobar.example/foobar, not baz.example/baz"},
		{"a copy in a strange place", func(w *world) {
			w.copyFile("baz.example/baz/berth-index.json", "copy/baz.example/baz/berth-index.json")
		}, "SERVER/copy/baz.example/baz",
			"another package's name: SERVER/copy/baz.example/baz says that it is baz.example/baz, whose home is SERVER/baz.example/baz.\nInstall it from there. If you trust this place to have it too, make it a mirror: berth settings --mirror baz.example/baz=SERVER/copy"},
		{"a zip that claims another's name", func(w *world) { w.server.Write(w.t, "files/x.zip", w.zip("baz.example/baz@v2.2.0")) }, "SERVER/files/x.zip",
			"another package's name: SERVER/files/x.zip says that it is baz.example/baz@v2.2.0, which nobody else confirms (baz.example/baz does not list this file).\nInstall https://baz.example/baz instead. If you trust this file, download it and upload it yourself"},
		{"a zip in another package's folder", func(w *world) { w.server.Write(w.t, "foobar.example/foobar/x.zip", w.zip("baz.example/baz@v2.2.0")) }, "SERVER/foobar.example/foobar/x.zip",
			"another package's name: SERVER/foobar.example/foobar/x.zip says that it is baz.example/baz@v2.2.0, which nobody else confirms (baz.example/baz does not list this file).\nInstall https://baz.example/baz instead. If you trust this file, download it and upload it yourself"},
		{"a zip that claims the name of nobody", func(w *world) { w.server.Write(w.t, "files/x.zip", w.zip("util.example/util@v2.2.0")) }, "SERVER/files/x.zip",
			"another package's name: SERVER/files/x.zip says that it is util.example/util@v2.2.0, which nobody else confirms (there is no package at SERVER/util.example/util: not found).\nInstall https://util.example/util instead. If you trust this file, download it and upload it yourself"},
		{"a zip that is none", func(w *world) { w.server.Write(w.t, "foobar.example/x.zip", []byte("hello")) }, "SERVER/foobar.example/x.zip",
			"SERVER/foobar.example/x.zip: invalid package: 5 bytes are no zip"},
		{"a component", func(w *world) { w.server.Write(w.t, "foobar.example/c.wasm", []byte("\x00asm\x0d\x00\x01\x00")) }, "SERVER/foobar.example/c.wasm",
			"SERVER/foobar.example/c.wasm: not a WebAssembly module: it is a component (WASI preview 2), which is not supported yet; build it for wasip1"},
		{"a page instead of a module", func(w *world) { w.server.Write(w.t, "foobar.example/c.wasm", []byte("<!doctype html>")) }, "SERVER/foobar.example/c.wasm",
			`SERVER/foobar.example/c.wasm: not a WebAssembly module: it does not begin with \0asm`},
		{"a module that the engine refuses", func(w *world) {
			w.Registry.prepare = func(context.Context, name.ID, string, []byte) (Module, error) {
				return Module{}, errors.New("too many locals")
			}
		}, "foobar.example/foobar", "baz.example/baz@v2.1.0: module m.wasm: too many locals"},
		{"no place at all", func(*world) {}, "oci://ghcr.io/org/name", "cannot fetch from there: not supported yet: packages from OCI registries"},
		{"a loop", func(w *world) {
			w.server.Script("/foobar.example/foobar/berth-index.json to:/foobar.example/foobar/berth-index.json\n")
		}, "foobar.example/foobar",
			"fetch SERVER/foobar.example/foobar/berth-index.json: not allowed: more than 5 redirects"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.publish(bazID)
			w.publish("foobar.example/foobar@v3.5.0", bazID)
			tt.upset(w)
			_, err := w.install(tt.source)
			if err == nil || masked(w, err) != tt.want {
				t.Errorf("\ngot  %v\nwant %s", masked(w, err), tt.want)
			}
			if err := w.Collect(t.Context()); err != nil || w.refs() != nil || w.blobCount() != 0 {
				t.Errorf("left behind: %v, %d blobs, %v", w.refs(), w.blobCount(), err)
			}
		})
	}
}

// masked returns an error's text without what differs from run to run.
func masked(w *world, err error) string {
	if err == nil {
		return "<nil>"
	}
	words := strings.FieldsFunc(err.Error(), func(r rune) bool { return strings.ContainsRune(" ;,.\n", r) })
	text := err.Error()
	for _, word := range words {
		if b, hexErr := hex.DecodeString(word); strings.HasPrefix(word, "h1:") || hexErr == nil && len(b) == 32 {
			text = strings.ReplaceAll(text, word, "HASH")
		}
	}
	return strings.ReplaceAll(text, w.server.URL, "SERVER")
}

func (w *world) copyFile(from, to string) {
	b, err := os.ReadFile(filepath.Join(w.server.Dir, filepath.FromSlash(from)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.server.Write(w.t, to, b)
}

// replaceListed puts other bytes in place of baz's zip, and lists their hash.
func (w *world) replaceListed(zip []byte) {
	w.server.Write(w.t, bazIn, zip)
	w.editIndex(bazID, func(idx *index.Index) { idx.Versions[0].SHA256 = store.Sum(zip).String() })
}

// TestChangedBytes is the hard stop, whichever way the other bytes come.
func TestChangedBytes(t *testing.T) {
	const want = "SECURITY: baz.example/baz@v2.1.0 has other bytes than before.\nThis server knows it as HASH (from SERVER/" + bazIn + ") and now got HASH.\n" +
		"Published versions never change: someone replaced the file, or the publisher made a mistake.\n" +
		"Nothing was changed: what is installed stays and goes on running. Ask the publisher to publish a new version."
	w := newWorld(t)
	w.publish(bazID)
	w.publish("foobar.example/foobar@v3.5.0", bazID)
	w.mustInstall("foobar.example/foobar")
	before := fmt.Sprint(w.refs(), w.installed())
	changed := w.zip(bazID, "util.example/util@v1.0.0")
	if err := os.RemoveAll(w.out(bazID)); err != nil {
		t.Fatal(err)
	}
	w.publish("util.example/util@v1.0.0")
	w.publish("baz.example/baz@v2.0.0") // so that the serial grows
	w.publish(bazID, "util.example/util@v1.0.0")
	w.publish("frundle.example/frundle@v0.5.0", bazID)
	w.server.Write(t, "elsewhere/x.zip", changed)
	check := func(how string, err error) {
		t.Helper()
		if !errors.As(err, new(*HashError)) || masked(w, err) != want {
			t.Errorf("%s: %v", how, masked(w, err))
		}
		if after := fmt.Sprint(w.refs(), w.installed()); after != before {
			t.Errorf("%s: something changed: %s", how, after)
		}
	}
	_, err := w.install("baz.example/baz")
	check("by its URL", err)
	_, err = w.install("frundle.example/frundle")
	check("as a dependency", err)
	_, err = w.install("SERVER/baz.example/baz/baz-v2.1.0.zip")
	check("by the address of its zip", err)
	_, err = w.install("SERVER/elsewhere/x.zip")
	check("by a zip that only the changed index lists", err)
	_, err = w.InstallFile(t.Context(), "x.zip", changed, nil)
	check("by upload", err)
	if err := w.remove(t.Context(), w.id(bazID), func(name.ID) []string { return nil }); err != nil {
		t.Fatal(err)
	}
	before = fmt.Sprint(w.refs(), w.installed())
	_, err = w.install("baz.example/baz@v2.1.0")
	check("after it was removed", err)
}

// TestZipByAddress installs zips from where they may come.
func TestZipByAddress(t *testing.T) {
	w := newWorld(t)
	w.publish(bazID)
	w.publish("baz.example/baz@v2.5.0")
	w.copyFile(bazIn, "elsewhere/x.zip")
	w.server.Requests()
	if in := w.mustInstall("SERVER/" + bazIn); in.Root.ID.String() != bazID || fmt.Sprint(w.server.Requests()) != "[/"+bazIn+"]" {
		t.Errorf("from its own folder: %+v", in)
	}
	if in := w.mustInstall("SERVER/elsewhere/x.zip"); in.Added != nil || fmt.Sprint(w.server.Requests()) != "[/elsewhere/x.zip]" {
		t.Errorf("from anywhere, when its hash is known: %+v", in)
	}
	w.copyFile("baz.example/baz/baz-v2.5.0.zip", "elsewhere/x.zip")
	if in := w.mustInstall("SERVER/elsewhere/x.zip"); fmt.Sprint(in.Added) != "[baz.example/baz@v2.5.0]" {
		t.Errorf("from anywhere, when its own index lists it: %+v", in)
	}
}

// TestPublisher changes who signs an index.
func TestPublisher(t *testing.T) {
	w := newWorld(t)
	signing, verifier, err := publish.GenerateKey("baz.example/baz")
	if err != nil {
		t.Fatal(err)
	}
	w.keys["baz.example/baz"] = signing
	w.publish(bazID)
	in := w.mustInstall("baz.example/baz")
	if fmt.Sprint(in.Root.Signers) != "["+verifier+"]" {
		t.Errorf("signers %v", in.Root.Signers)
	}
	file := "baz.example/baz/berth-index.json"
	signed, err := os.ReadFile(filepath.Join(w.server.Dir, file))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, want string) {
		t.Helper()
		_, err := w.install("baz.example/baz")
		if !errors.As(err, new(*index.PinError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := w.Refresh(t.Context(), "baz.example/baz"); !errors.As(err, new(*index.PinError)) {
			t.Errorf("%s, refreshed: %v", what, err)
		}
		// The alarm is heard though the installed version would do.
		w.server.Write(t, "x.zip", nil)
		_, err = w.InstallFile(t.Context(), "frob.zip", w.zip("frob.example/frob@v1.0.0", bazID), nil)
		if !errors.As(err, new(*index.PinError)) {
			t.Errorf("%s, as a dependency: %v", what, err)
		}
	}
	reset := func() {
		w.server.Write(t, file, signed)
		if _, err := w.install("baz.example/baz"); err != nil {
			t.Error(err)
		}
	}
	w.editIndex(bazID, func(idx *index.Index) { idx.Keys = nil; idx.Serial++ })
	refused("unsigned", "It was signed before and is not any more.")
	reset()
	stranger, _, err := publish.GenerateKey("baz.example/baz")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(w.out(bazID)); err != nil {
		t.Fatal(err)
	}
	w.keys["baz.example/baz"] = stranger
	w.publish("baz.example/baz@v2.0.0")
	w.publish("baz.example/baz@v2.2.0")
	refused("another key", "Its server or its domain may be in other hands.")
	// The publisher goes on; then someone serves the old list.
	if err := os.RemoveAll(w.out(bazID)); err != nil {
		t.Fatal(err)
	}
	w.server.Write(t, file, signed)
	w.keys["baz.example/baz"] = signing
	w.publish("baz.example/baz@v2.3.0")
	w.mustInstall("baz.example/baz")
	w.server.Write(t, file, signed)
	refused("an old list", "It went back from serial 2 to 1")
	// A stranger's place may serve what the known key has signed.
	w.publish("baz.example/baz@v2.4.0")
	w.copyFile(file, "copy/baz/berth-index.json")
	w.copyFile("baz.example/baz/baz-v2.4.0.zip", "copy/baz/baz-v2.4.0.zip")
	w.publish("baz.example/baz@v2.5.0")
	if in := w.mustInstall("SERVER/copy/baz"); in.Root.ID.Version != "v2.4.0" {
		t.Errorf("%+v", in.Root)
	}
}

// failing is a store whose writes begin to fail after a number of them, or
// which ends a run at that place as a kill would.
type failing struct {
	store.Store
	left atomic.Int64
}

var errFailing = errors.New("the disk is full")

func (f *failing) write() error {
	if f.left.Add(-1) < 0 {
		return errFailing
	}
	return nil
}

func (f *failing) PutBlob(ctx context.Context, r io.Reader) (store.Hash, int64, error) {
	if err := f.write(); err != nil {
		return store.Hash{}, 0, err
	}
	return f.Store.PutBlob(ctx, r)
}

func (f *failing) SwapRefs(ctx context.Context, changes ...store.RefChange) (uint64, error) {
	if err := f.write(); err != nil {
		return 0, err
	}
	return f.Store.SwapRefs(ctx, changes...)
}

// TestCutOff ends an install at each write to the store: either everything
// is installed or nothing is, and the next install mends it.
func TestCutOff(t *testing.T) {
	f := &failing{Store: memory.New()}
	f.left.Store(1 << 30)
	w := newWorldOn(t, f)
	w.publishExample()
	for writes := int64(0); ; writes++ {
		f.left.Store(writes)
		_, err := w.install("foobar.example/foobar")
		f.left.Store(1 << 30)
		if err == nil {
			if writes != 5 { // two zips, two indexes, one commit
				t.Errorf("an install takes %d writes", writes)
			}
			break
		}
		if !errors.Is(err, errFailing) || w.refs() != nil {
			t.Errorf("after %d writes: %v, %v", writes, err, w.refs())
		}
	}
	if got := w.installed(); got != "baz.example/baz@v2.1.3 foobar.example/foobar@v3.5.0" {
		t.Error(got)
	}
}

// TestCancel ends an install at each of its steps.
func TestCancel(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	for steps := 0; ; steps++ {
		if err := w.Collect(t.Context()); err != nil { // else nothing is fetched again
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		_, err := w.Install(ctx, "foobar.example/foobar", func(Progress) {
			if seen++; seen > steps {
				cancel()
			}
		})
		cancel()
		if err == nil {
			if steps < 8 {
				t.Errorf("an install has %d steps", steps)
			}
			break
		}
		if !errors.Is(err, context.Canceled) || w.refs() != nil {
			t.Fatalf("after %d steps: %v, %v", steps, err, w.refs())
		}
	}
	if err := w.Collect(t.Context()); err != nil || w.blobCount() != 4 {
		t.Errorf("%d blobs, %v", w.blobCount(), err)
	}
}

// intruded is a store that another server writes to just before a commit.
type intruded struct {
	store.Store
	intrude func()
}

func (s *intruded) SwapRefs(ctx context.Context, changes ...store.RefChange) (uint64, error) {
	if intrude := s.intrude; intrude != nil {
		s.intrude = nil
		intrude()
	}
	return s.Store.SwapRefs(ctx, changes...)
}

// TestTwoServers has two servers with one store, of which one installs while
// the other is about to commit.
func TestTwoServers(t *testing.T) {
	for _, tt := range []struct{ other, added string }{
		{"foobar.example/foobar", "[]"}, // all of it is there already
		{"baz.example/baz@v2.1.3", "[foobar.example/foobar@v3.5.0]"},
		{"frundle.example/frundle", "[baz.example/baz@v2.1.3 foobar.example/foobar@v3.5.0]"},
	} {
		s := &intruded{Store: memory.New()}
		w := newWorldOn(t, s)
		w.publishExample()
		other, err := open(t.Context(), s.Store, w.prepareModule, impatient)
		if err != nil {
			t.Fatal(err)
		}
		s.intrude = func() {
			if _, err := other.Install(t.Context(), tt.other, nil); err != nil {
				t.Error(err)
			}
		}
		in, err := w.install("foobar.example/foobar")
		if err != nil || fmt.Sprint(in.Added) != tt.added || !strings.HasSuffix(strings.Split(w.installed(), " frundle")[0], "foobar.example/foobar@v3.5.0") {
			t.Errorf("beside %s: %+v, %v, %s", tt.other, in, err, w.installed())
		}
	}
}

// TestNewerMeanwhile publishes a new version while an install is under way, and
// lets another server see it first. That is no reason for an alarm.
func TestNewerMeanwhile(t *testing.T) {
	s := &intruded{Store: memory.New()}
	w := newWorldOn(t, s)
	w.publishExample()
	other, err := open(t.Context(), s.Store, w.prepareModule, impatient)
	if err != nil {
		t.Fatal(err)
	}
	s.intrude = func() {
		w.publish("baz.example/baz@v2.1.9")
		if changed, err := other.Refresh(t.Context(), "baz.example/baz"); err != nil || !changed {
			t.Error(changed, err)
		}
	}
	if in, err := w.install("foobar.example/foobar"); err != nil || len(in.Added) != 2 {
		t.Errorf("%+v, %v", in, err)
	}
	if f, err := w.snapshot(t.Context(), "baz.example/baz"); err != nil || f.Find("v2.1.9") == nil {
		t.Errorf("the newer list is forgotten: %v", err)
	}
}

// TestAtOnce installs the same and other packages at the same time, while
// blobs are collected and packages are removed.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	w.Registry.prepare = func(context.Context, name.ID, string, []byte) (Module, error) { return Module{}, nil }
	w.publishExample()
	var all sync.WaitGroup
	var added atomic.Int64
	for i := range 12 {
		all.Go(func() {
			in, err := w.install([]string{"foobar.example/foobar", "frundle.example/frundle", "baz.example/baz@v2.1.0"}[i%3])
			if err != nil {
				t.Error(err)
				return
			}
			added.Add(int64(len(in.Added)))
			if err := w.Collect(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	const want = "baz.example/baz@v2.1.0 baz.example/baz@v2.1.3 baz.example/baz@v2.5.1 foobar.example/foobar@v3.5.0 frundle.example/frundle@v0.5.0"
	if got := w.installed(); got != want || added.Load() != 5 {
		t.Errorf("%s, %d added", got, added.Load())
	}
	for _, id := range strings.Fields(want) {
		if _, closer, err := w.Registry.Open(t.Context(), w.id(id)); err != nil {
			t.Error(err)
		} else if err := closer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBrokenOffOnce shows that passing failures are no failures.
func TestBrokenOffOnce(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	w.server.Script("/foobar.example/foobar/berth-index.json 500 drop ok\n/baz.example/baz/berth-index.json 429:0 ok\n/baz.example/baz/baz-v2.1.3.zip cut:50 503 ok\n")
	if in := w.mustInstall("foobar.example/foobar"); len(in.Added) != 2 {
		t.Errorf("%+v", in)
	}
}

// TestDamagedSnapshot loses the remembered index: it comes back by itself.
func TestDamagedSnapshot(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	w.mustInstall("foobar.example/foobar")
	var s snapshot
	if _, err := w.get(t.Context(), refIndex+"baz.example/baz", &s); err != nil {
		t.Fatal(err)
	}
	if err := w.store.DeleteBlob(t.Context(), s.Blob); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Lock(t.Context(), w.id("foobar.example/foobar@v3.5.0"), nil); err != nil {
		t.Error(err)
	}
	if _, err := w.Refresh(t.Context(), "baz.example/baz"); err != nil {
		t.Error(err)
	}
	if f, err := w.snapshot(t.Context(), "baz.example/baz"); err != nil || len(f.Versions) != 5 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestLocalPackage(t *testing.T) {
	for file, want := range map[string]string{
		"hello.wasm": "local.invalid/hello", "/a/b/Hello World.wasm": "local.invalid/hello-world", "": "local.invalid/module", ".wasm": "local.invalid/module",
		"…": "local.invalid/module", "v2.wasm": "local.invalid/module", "con.wasm": "local.invalid/module", "../../x": "local.invalid/x",
		strings.Repeat("x", 300): "local.invalid/module",
	} {
		if got := localPackage(file); got != want || name.CheckPackage(got) != nil {
			t.Errorf("%.20q: %s, want %s", file, got, want)
		}
	}
}

func TestWrapModuleIsStable(t *testing.T) {
	id := name.ID{Package: "local.invalid/x", Version: "v0.0.0-20261102090000-abcdef123456"}
	a, errA := wrapModule(id, []byte(emptyModule))
	b, errB := wrapModule(id, []byte(emptyModule))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%v, %v", errA, errB)
	}
}
