package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/fetch/fetchtest"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/publish"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

var impatient = fetch.Times{FirstWait: time.Millisecond, MaxWait: time.Second, Header: 500 * time.Millisecond, Total: 5 * time.Second}

// emptyModule is the smallest WebAssembly module.
const emptyModule = "\x00asm\x01\x00\x00\x00"

// A world is a registry with a server that mirrors every name below .example.
type world struct {
	*Registry
	t        testing.TB
	store    store.Store
	server   *fetchtest.Server
	keys     map[string]string // signing keys, by package
	prepared []string
}

func newWorld(t testing.TB) *world { return newWorldOn(t, memory.New()) }

func newWorldOn(t testing.TB, s store.Store) *world {
	t.Helper()
	w := &world{t: t, store: s, server: fetchtest.Start(t, ""), keys: map[string]string{}}
	var err error
	if w.Registry, err = open(t.Context(), s, w.prepareModule, impatient); err != nil {
		t.Fatal(err)
	}
	_, err = w.ChangeSettings(t.Context(), func(s *Settings) {
		s.Origins = []string{w.server.URL}
		s.Mirrors = map[string]string{}
		for _, pkg := range []string{"foobar", "frundle", "baz", "util", "frob"} {
			s.Mirrors[pkg+".example"] = w.server.URL
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) prepareModule(_ context.Context, id name.ID, file string, module []byte) (Module, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm")) {
		return Module{}, errors.New("not a module")
	}
	w.prepared = append(w.prepared, id.String()+" "+file)
	return Module{Hash: store.Sum(module).String(), Dialect: "cgi"}, nil
}

// publish publishes a package version as its author would. Each requirement is
// of the form package@version, and is called by the package's last element.
func (w *world) publish(id string, requires ...string) {
	w.t.Helper()
	if _, err := publish.Publish(w.t.Context(), w.source(id, requires...), w.out(id), w.keys[w.id(id).Package]); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) id(s string) name.ID {
	w.t.Helper()
	id, err := name.ParseID(s)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// out is the folder of a package on the server.
func (w *world) out(id string) string {
	return filepath.Join(w.server.Dir, filepath.FromSlash(w.id(id).Package))
}

// source writes the sources of a package.
func (w *world) source(id string, requires ...string) string {
	w.t.Helper()
	dir := w.t.TempDir()
	pkg := w.id(id)
	toml := fmt.Sprintf("package = %q\nversion = %q\ntitle = \"A test\"\n\n[handler]\nmodule = \"m.wasm\"\n\n[dependencies]\n", pkg.Package, pkg.Version)
	for _, r := range requires {
		need := w.id(r)
		toml += fmt.Sprintf("%s = { package = %q, version = %q }\n", filepath.Base(need.Package), need.Package, need.Version)
	}
	for file, content := range map[string]string{"berth.toml": toml, "m.wasm": emptyModule, "id.txt": id} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o666); err != nil {
			w.t.Fatal(err)
		}
	}
	return dir
}

// zip packs a package that nobody has published.
func (w *world) zip(id string, requires ...string) []byte {
	w.t.Helper()
	var buf bytes.Buffer
	if _, err := publish.Pack(w.t.Context(), w.source(id, requires...), &buf); err != nil {
		w.t.Fatal(err)
	}
	return buf.Bytes()
}

// editIndex rewrites the index of a package behind its author's back.
func (w *world) editIndex(id string, edit func(*index.Index)) {
	w.t.Helper()
	file := filepath.Join(w.out(id), index.File)
	b, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	idx, _, err := index.Read(b)
	if err != nil {
		w.t.Fatal(err)
	}
	edit(idx)
	if b, err = idx.Marshal(); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o666); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) install(source string) (*Installed, error) {
	return w.Install(w.t.Context(), strings.ReplaceAll(source, "SERVER", w.server.URL), nil)
}

func (w *world) mustInstall(source string) *Installed {
	w.t.Helper()
	in, err := w.install(source)
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// installed lists what is installed.
func (w *world) installed() string {
	w.t.Helper()
	records, err := w.Packages(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, rec := range records {
		ids = append(ids, rec.ID.String())
	}
	return strings.Join(ids, " ")
}

// refs lists the references of the store, the settings aside.
func (w *world) refs() []string {
	w.t.Helper()
	refs, err := w.store.ListRefs(context.Background(), "", "", 0)
	if err != nil {
		w.t.Fatal(err)
	}
	var names []string
	for _, ref := range refs {
		if ref.Name != refSettings {
			names = append(names, ref.Name)
		}
	}
	return names
}

func (w *world) blobCount() int {
	n := 0
	for _, err := range w.store.ListBlobs(context.Background()) {
		if err != nil {
			w.t.Fatal(err)
		}
		n++
	}
	return n
}

// publishExample publishes the packages of the documentation's example.
func (w *world) publishExample() {
	w.t.Helper()
	for _, v := range []string{"v2.1.0", "v2.1.3", "v2.1.4", "v2.5.0", "v2.5.1"} {
		w.publish("baz.example/baz@" + v)
	}
	if err := publish.Retract(w.t.Context(), w.out("baz.example/baz@v2.1.4"), "v2.1.4", "it loses data", ""); err != nil {
		w.t.Fatal(err)
	}
	w.publish("foobar.example/foobar@v3.5.0", "baz.example/baz@v2.1.0")
	w.publish("frundle.example/frundle@v0.5.0", "baz.example/baz@v2.5.0")
}

// TestExample installs the documentation's example by URL.
func TestExample(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	foobar := w.mustInstall("SERVER/foobar.example/foobar")
	frundle := w.mustInstall("frundle.example/frundle@v0")
	if got := fmt.Sprint(foobar.Added, frundle.Added); got != "[baz.example/baz@v2.1.3 foobar.example/foobar@v3.5.0] [baz.example/baz@v2.5.1 frundle.example/frundle@v0.5.0]" {
		t.Errorf("added %s", got)
	}
	if got := strings.Join(w.prepared, ", "); got != "baz.example/baz@v2.1.3 m.wasm, foobar.example/foobar@v3.5.0 m.wasm, baz.example/baz@v2.5.1 m.wasm, frundle.example/frundle@v0.5.0 m.wasm" {
		t.Errorf("prepared %s", got)
	}
	rec := foobar.Root
	if rec.ID.String() != "foobar.example/foobar@v3.5.0" || rec.Source != w.server.URL+"/foobar.example/foobar/foobar-v3.5.0.zip" || rec.Modules["m.wasm"].Hash != store.Sum([]byte(emptyModule)).String() ||
		!strings.HasPrefix(rec.H1, "h1:") || rec.Size == 0 || rec.Manifest.Title != "A test" || time.Since(rec.Installed) > time.Minute {
		t.Errorf("record %+v", rec)
	}
	for id, want := range map[string]string{"foobar.example/foobar@v3.5.0": "v2.1.3", "frundle.example/frundle@v0.5.0": "v2.5.1"} {
		lock, err := w.Lock(t.Context(), w.id(id), nil)
		if err != nil || lock.Node(w.id(id)).Edges["baz"].Chosen != want || lock.Node(w.id("baz.example/baz@"+want)).H1 == "" {
			t.Errorf("lock of %s: %+v, %v", id, lock, err)
		}
	}
	a, closer, err := w.Registry.Open(t.Context(), w.id("baz.example/baz@v2.5.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	if text, err := fs.ReadFile(a.FS, "id.txt"); err != nil || string(text) != "baz.example/baz@v2.5.1" {
		t.Errorf("%q, %v", text, err)
	}
	// Again: two questions under a condition, and nothing else.
	w.server.Requests()
	again := w.mustInstall("foobar.example/foobar")
	if got := fmt.Sprint(w.server.Requests()); again.Added != nil || again.Root.ID != rec.ID || got != "[/foobar.example/foobar/berth-index.json? /baz.example/baz/berth-index.json?]" {
		t.Errorf("again: %v, %s", again, got)
	}
}

func TestSelectors(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	for _, v := range []string{"v1.9.0", "v2.6.0-rc.1"} {
		w.publish("baz.example/baz@" + v)
	}
	for selector, want := range map[string]string{"": "v2.5.1", "@latest": "v2.5.1", "@v2": "v2.5.1", "@v1": "v1.9.0", "@v2.1": "v2.1.3", "@v2.1.0": "v2.1.0", "@v2.6.0-rc.1": "v2.6.0-rc.1",
		"@v3":     "baz.example/baz has no such version: v3; published are v2.6.0-rc.1, v2.5.1, v2.5.0, v2.1.4 (retracted: it loses data), v2.1.3, v2.1.0, v1.9.0",
		"@v2.1.4": "baz.example/baz@v2.1.4 was retracted by its publisher: it loses data: no such version"} {
		in, err := w.install("baz.example/baz" + selector)
		if err != nil {
			if err.Error() != want || !errors.Is(err, ErrNoVersion) {
				t.Errorf("%s: %v", selector, err)
			}
		} else if in.Root.ID.Version != want {
			t.Errorf("%s: %s, want %s", selector, in.Root.ID.Version, want)
		}
	}
}

func TestReview(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	review, err := w.Review(t.Context(), "foobar.example/foobar", nil)
	if err != nil {
		t.Fatal(err)
	}
	baz := review.Lock.Node(review.Root.ID).Edges["baz"]
	if reason := review.Reason(baz); reason != "the newest patch of v2.1; v2.1.4 was retracted: it loses data" {
		t.Error(reason)
	}
	if len(review.Packages) != 2 || review.Packages[0].ID.String() != "baz.example/baz@v2.1.3" || review.Key("baz.example/baz") != KeyNone {
		t.Errorf("%+v, key %s", review.Packages, review.Key("baz.example/baz"))
	}
	if len(review.New) != 2 || review.New[1].ID != review.Root.ID || review.New[0].ID.String() != "baz.example/baz@v2.1.3" || len(review.Lock.Nodes) != 2 || review.New[0].Size == 0 {
		t.Errorf("%+v", review)
	}
	if w.installed() != "" || w.refs() != nil || w.prepared != nil {
		t.Errorf("something was kept: %s %v %v", w.installed(), w.refs(), w.prepared)
	}
	// What is kept is what was reviewed, whatever the server says now.
	w.server.Script("/foobar.example/foobar/berth-index.json 404\n/baz.example/baz/berth-index.json 404\n")
	w.server.Requests()
	in, err := review.Keep(t.Context(), nil)
	if err != nil || len(in.Added) != 2 || w.installed() != "baz.example/baz@v2.1.3 foobar.example/foobar@v3.5.0" || w.server.Requests() != nil {
		t.Errorf("%+v, %v, %s", in, err, w.installed())
	}
	if again, err := review.Keep(t.Context(), nil); err != nil || again.Added != nil {
		t.Errorf("kept twice: %+v, %v", again, err)
	}
}

func TestReviewExpires(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	first, err := w.Review(t.Context(), "foobar.example/foobar", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Collect(t.Context()); err != nil || w.blobCount() != 2 {
		t.Fatalf("%d blobs: what a review fetched is there until it is closed; %v", w.blobCount(), err)
	}
	first.Close()
	if err := w.Collect(t.Context()); err != nil || w.blobCount() != 0 {
		t.Fatal(w.blobCount(), err)
	}
	if _, err := first.Keep(t.Context(), nil); !errors.Is(err, ErrExpired) || w.refs() != nil {
		t.Errorf("after its files were collected: %v, %v", err, w.refs())
	}
	w.mustInstall("baz.example/baz@v2.1.3")
	second, err := w.Review(t.Context(), "foobar.example/foobar", nil)
	if err != nil || len(second.New) != 1 {
		t.Fatalf("%+v, %v", second, err)
	}
	if err := w.remove(t.Context(), w.id("baz.example/baz@v2.1.3"), func(name.ID) []string { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Keep(t.Context(), nil); !errors.Is(err, ErrExpired) || err.Error() != "baz.example/baz@v2.1.3 was removed: what was reviewed is not there any more: look again" || w.installed() != "" {
		t.Errorf("after a dependency was removed: %v, %s", err, w.installed())
	}
}

// TestReviewLeavesBlobs installs what an earlier review has fetched already.
func TestReviewLeavesBlobs(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	if _, err := w.Review(t.Context(), "foobar.example/foobar", nil); err != nil {
		t.Fatal(err)
	}
	w.server.Requests()
	w.mustInstall("foobar.example/foobar")
	for _, request := range w.server.Requests() {
		if strings.HasSuffix(request, ".zip") {
			t.Errorf("fetched again: %s", request)
		}
	}
}

func TestRemove(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	w.mustInstall("foobar.example/foobar")
	baz := w.id("baz.example/baz@v2.1.3")
	err := w.Remove(t.Context(), baz, func(id name.ID) []string { return []string{"/ (production)", id.String()} })
	if !errors.Is(err, ErrInUse) || err.Error() != "baz.example/baz@v2.1.3 is in use: / (production), baz.example/baz@v2.1.3" {
		t.Error(err)
	}
	unused := func(name.ID) []string { return nil }
	before := w.blobCount()
	if err := w.Remove(t.Context(), baz, unused); err != nil || w.installed() != "foobar.example/foobar@v3.5.0" || w.blobCount() != before-1 {
		t.Errorf("%v, %s, %d blobs of %d", err, w.installed(), w.blobCount(), before)
	}
	if err := w.Remove(t.Context(), baz, unused); !errors.Is(err, ErrNotInstalled) || err.Error() != "baz.example/baz@v2.1.3: not installed" {
		t.Error(err)
	}
	if _, err := w.Lock(t.Context(), w.id("foobar.example/foobar@v3.5.0"), nil); !errors.Is(err, ErrNotInstalled) || err.Error() != "foobar.example/foobar@v3.5.0 needs baz.example/baz: not installed" {
		t.Error(err)
	}
	if _, _, err := w.Registry.Open(t.Context(), baz); !errors.Is(err, ErrNotInstalled) {
		t.Error(err)
	}
	if in := w.mustInstall("foobar.example/foobar"); fmt.Sprint(in.Added) != "[baz.example/baz@v2.1.3]" {
		t.Errorf("a missing dependency comes back: %v", in.Added)
	}
}

// TestOffline goes on with what is installed when every server is away.
func TestOffline(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	w.mustInstall("foobar.example/foobar")
	w.server.Close()
	id := w.id("foobar.example/foobar@v3.5.0")
	if _, err := w.Lock(t.Context(), id, nil); err != nil {
		t.Error(err)
	}
	upload := w.zip("frob.example/frob@v1.0.0", "baz.example/baz@v2.1.0")
	in, err := w.InstallFile(t.Context(), "frob.zip", upload, nil)
	if err != nil || fmt.Sprint(in.Added) != "[frob.example/frob@v1.0.0]" || in.Root.Source != "upload of frob.zip" {
		t.Errorf("%+v, %v", in, err)
	}
	upload = w.zip("frob.example/frob@v1.1.0", "util.example/util@v0.3.0")
	if _, err = w.InstallFile(t.Context(), "frob.zip", upload, nil); err == nil || !strings.HasPrefix(err.Error(), "frob.example/frob@v1.1.0 needs util.example/util: fetch "+w.server.URL+"/util.example/util/berth-index.json: ") {
		t.Error(err)
	}
	upload = w.zip("frob.example/frob@v1.2.0", "baz.example/baz@v2.5.0")
	if _, err = w.InstallFile(t.Context(), "frob.zip", upload, nil); err == nil || !strings.HasPrefix(err.Error(), "frob.example/frob@v1.2.0 needs a version of baz.example/baz that is not installed: fetch "+w.server.URL+"/baz.example/baz/berth-index.json: ") {
		t.Error(err)
	}
}

// TestLockAndPlan follows a package whose dependency gets a retraction and a
// new version after it was installed.
func TestLockAndPlan(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	w.mustInstall("foobar.example/foobar")
	foobar := w.id("foobar.example/foobar@v3.5.0")
	lock, err := w.Lock(t.Context(), foobar, nil)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := w.Refresh(t.Context(), "baz.example/baz"); changed || err != nil {
		t.Errorf("nothing is new: %v, %v", changed, err)
	}
	w.publish("baz.example/baz@v2.1.5")
	w.publish("util.example/util@v0.3.1")
	w.publish("baz.example/baz@v2.6.0", "util.example/util@v0.3.0")
	if err := publish.Retract(t.Context(), w.out("baz.example/baz@v2.1.3"), "v2.1.3", "also loses data", ""); err != nil {
		t.Fatal(err)
	}
	if changed, err := w.Refresh(t.Context(), "baz.example/baz"); !changed || err != nil {
		t.Errorf("much is new: %v, %v", changed, err)
	}
	if again, err := w.Lock(t.Context(), foobar, nil); err != nil || fmt.Sprint(again) != fmt.Sprint(lock) {
		t.Errorf("what is installed still works though retracted: %+v, %v", again, err)
	}
	if _, changes, err := w.Plan(t.Context(), foobar, lock, nil); err != nil || changes.Added != nil || changes.Moved != nil {
		t.Errorf("nobody asked for a change: %+v, %v", changes, err)
	}
	_, changes, err := w.Plan(t.Context(), foobar, lock, map[string]string{"baz.example/baz": "v2.1.5"})
	if err != nil || fmt.Sprint(changes) != "{[baz.example/baz@v2.1.5] [baz.example/baz@v2.1.3] [{foobar.example/foobar baz baz.example/baz v2.1.3 v2.1.5}]}" {
		t.Errorf("%v, %v", changes, err)
	}
	wish := map[string]string{"baz.example/baz": "v2.6.0"}
	if _, _, err := w.Plan(t.Context(), foobar, lock, wish); !errors.Is(err, ErrNotInstalled) || err.Error() != "foobar.example/foobar@v3.5.0 needs util.example/util, which was never looked at: not installed" {
		t.Error(err)
	}
	if _, err := w.Refresh(t.Context(), "util.example/util"); err != nil {
		t.Fatal(err)
	}
	if _, changes, err = w.Plan(t.Context(), foobar, lock, wish); err != nil || fmt.Sprint(changes.Added, changes.Removed) != "[baz.example/baz@v2.6.0 util.example/util@v0.3.1] [baz.example/baz@v2.1.3]" {
		t.Errorf("%v, %v", changes, err)
	}
	w.mustInstall("baz.example/baz@v2.1.5")
	if fresh, err := w.Lock(t.Context(), foobar, nil); err != nil || fresh.Node(foobar).Edges["baz"].Chosen != "v2.1.5" {
		t.Errorf("a retracted version is not taken anew: %+v, %v", fresh, err)
	}
	if held, err := w.Lock(t.Context(), foobar, lock); err != nil || held.Node(foobar).Edges["baz"].Chosen != "v2.1.3" {
		t.Errorf("the lock wins: %+v, %v", held, err)
	}
}

func TestBareModule(t *testing.T) {
	w := newWorld(t)
	w.server.Write(t, "foobar.example/Hello.wasm", []byte(emptyModule))
	w.server.Write(t, "elsewhere/Hello World.wasm", []byte(emptyModule))
	w.server.Write(t, "foobar.example/hello.wasm", []byte(emptyModule))
	hash := store.Sum([]byte(emptyModule)).String()[:12]
	for _, tt := range []struct{ source, pkg string }{
		{"SERVER/foobar.example/hello.wasm", "foobar.example/hello.wasm"},
		{"SERVER/elsewhere/Hello%20World.wasm", "local.invalid/hello-world"},
	} {
		in := w.mustInstall(tt.source)
		if in.Root.ID.Package != tt.pkg || !strings.HasSuffix(in.Root.ID.Version, "-"+hash) || !strings.HasPrefix(in.Root.ID.Version, "v0.0.0-") || len(in.Added) != 1 || in.Root.Modules["module.wasm"].Dialect != "cgi" {
			t.Errorf("%s: %+v", tt.source, in.Root)
		}
		if again := w.mustInstall(tt.source); again.Added != nil || again.Root.ID != in.Root.ID {
			t.Errorf("%s again: %+v", tt.source, again)
		}
	}
	in, err := w.InstallFile(t.Context(), "hello world.wasm", []byte(emptyModule), nil)
	if err != nil || in.Added != nil || in.Root.ID.Package != "local.invalid/hello-world" {
		t.Errorf("the same bytes by upload: %+v, %v", in, err)
	}
	if in, err = w.InstallFile(t.Context(), "…", append([]byte(emptyModule), 0, 1, 0), nil); err != nil || in.Root.ID.Package != "local.invalid/module" {
		t.Errorf("an upload without a usable name: %+v, %v", in, err)
	}
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	change := func(f func(*Settings)) error { _, err := w.ChangeSettings(t.Context(), f); return err }
	before := fmt.Sprint(w.Settings())
	for want, f := range map[string]func(*Settings){
		`cannot fetch from there: "127.0.0.1:9000" is not an origin such as http://127.0.0.1:9000`:                                                      func(s *Settings) { s.Origins = []string{"127.0.0.1:9000"} },
		`cannot fetch from there: write the origin "http://Baz.example:80/" as "http://baz.example"`:                                                    func(s *Settings) { s.Origins = []string{"http://Baz.example:80/"} },
		`invalid name: package path "baz": missing dot in first path element`:                                                                           func(s *Settings) { s.Mirrors = map[string]string{"baz": "https://x.example"} },
		`cannot fetch from there: mirror of baz.example: "https://x.example@v2" is not the address of a folder such as https://mirror.example/packages`: func(s *Settings) { s.Mirrors = map[string]string{"baz.example": "https://x.example@v2"} },
	} {
		if err := change(f); err == nil || err.Error() != want {
			t.Errorf("%v", err)
		}
	}
	again, err := Open(t.Context(), w.store, nil)
	if err != nil || fmt.Sprint(again.Settings()) != before || fmt.Sprint(w.Settings()) != before {
		t.Errorf("%v, %v", again, err)
	}
}

// TestNoPermission installs from a loopback address without permission.
func TestNoPermission(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	if _, err := w.ChangeSettings(t.Context(), func(s *Settings) { s.Origins = nil }); err != nil {
		t.Fatal(err)
	}
	_, err := w.install("foobar.example/foobar")
	want := fmt.Sprintf("fetch %[1]s/foobar.example/foobar/berth-index.json: not allowed without your permission: %[1]s is not https.\nIf that server is yours, allow it: berth settings --allow %[1]s", w.server.URL)
	if !errors.Is(err, fetch.ErrForbidden) || err.Error() != want || w.server.Requests() != nil {
		t.Errorf("%v", err)
	}
}

func TestProgress(t *testing.T) {
	w := newWorld(t)
	w.publishExample()
	var steps []string
	_, err := w.Install(t.Context(), "foobar.example/foobar", func(p Progress) {
		if p.Done > p.Total {
			t.Errorf("%+v", p)
		}
		if step := strings.ReplaceAll(p.Step, w.server.URL, "SERVER"); !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	})
	const want = "looking for https://foobar.example/foobar, fetching foobar.example/foobar@v3.5.0, checking foobar.example/foobar@v3.5.0, looking for baz.example/baz, " +
		"fetching baz.example/baz@v2.1.3, checking baz.example/baz@v2.1.3, compiling m.wasm of baz.example/baz@v2.1.3, compiling m.wasm of foobar.example/foobar@v3.5.0"
	if got := strings.Join(steps, ", "); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

// TestReviewKeys tells a key that is seen for the first time from one that is pinned.
func TestReviewKeys(t *testing.T) {
	w := newWorld(t)
	signing, _, err := publish.GenerateKey("baz.example")
	if err != nil {
		t.Fatal(err)
	}
	w.keys["baz.example/baz"] = signing
	w.publish("baz.example/baz@v2.1.3")
	w.publish("foobar.example/foobar@v3.5.0", "baz.example/baz@v2.1.0")
	for _, want := range []KeyState{KeyNew, KeyKnown} {
		review, err := w.Review(t.Context(), "foobar.example/foobar", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := review.Key("baz.example/baz"); got != want {
			t.Errorf("baz is %s, want %s", got, want)
		}
		if got := review.Key("foobar.example/foobar"); got != KeyNone {
			t.Errorf("foobar is %s", got)
		}
		review.Close()
		w.mustInstall("baz.example/baz@v2.1.3")
	}
}
