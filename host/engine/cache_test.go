package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An entry on disk, for tests that damage it.
type entryFiles struct {
	paths map[string]string // record, module, machine code
	whole map[string][]byte
}

func entryOf(t *testing.T, c *cache, hash digest) entryFiles {
	t.Helper()
	r, err := c.readRecord(hash)
	if err != nil {
		t.Fatal(err)
	}
	f := entryFiles{
		paths: map[string]string{
			"record":       c.recordPath(hash),
			"module":       c.wasmPath(hash),
			"machine code": filepath.Join(c.dir, r.Native),
		},
		whole: map[string][]byte{},
	}
	for kind, path := range f.paths {
		if f.whole[kind], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f entryFiles) restore(t *testing.T) {
	t.Helper()
	for kind, path := range f.paths {
		if err := os.WriteFile(path, f.whole[kind], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// damages are what can happen to a file. A nil result removes it.
func damages(size int) map[string]func([]byte) []byte {
	d := map[string]func([]byte) []byte{
		"emptied":   func([]byte) []byte { return []byte{} },
		"truncated": func(b []byte) []byte { return b[:len(b)-1] },
		"halved":    func(b []byte) []byte { return b[:len(b)/2] },
		"longer":    func(b []byte) []byte { return append(b, 0) },
		"zeroed":    func(b []byte) []byte { clear(b); return b },
		"removed":   func([]byte) []byte { return nil },
	}
	const regions = 32
	for i := range regions {
		at := i * (size - 1) / (regions - 1)
		d[fmt.Sprintf("flipped at %d", at)] = func(b []byte) []byte { b[at] ^= 0x10; return b }
	}
	return d
}

func apply(t *testing.T, damage func([]byte) []byte, path string, whole []byte) {
	t.Helper()
	damaged, err := damage(append([]byte(nil), whole...)), error(nil)
	if damaged == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, damaged, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// No damaged entry is ever read: it is removed, to be made again.
func TestCacheNoticesDamage(t *testing.T) {
	e := newEngine(t)
	module := guest(t, "reactor")
	hash := digestOf(module)
	if _, err := e.Prepare(t.Context(), module); err != nil {
		t.Fatal(err)
	}
	entry := entryOf(t, e.cache, hash)
	for kind, path := range entry.paths {
		for name, damage := range damages(len(entry.whole[kind])) {
			entry.restore(t)
			if _, _, err := e.cache.read(hash); err != nil {
				t.Fatalf("the whole entry is not read: %v", err)
			}
			apply(t, damage, path, entry.whole[kind])
			if _, _, err := e.cache.read(hash); !errors.Is(err, errDamaged) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %s: read with error %v", kind, name, err)
			}
			if _, err := os.Stat(entry.paths["record"]); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s %s: the entry is still there", kind, name)
			}
		}
	}
}

// A server recovers from a damaged cache by itself.
func TestLoadRecovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	inDir := func(o *Options) { o.CacheDir = dir }
	module := guest(t, "reactor")
	hash := digestOf(module)
	e := newEngine(t, inDir)
	if _, err := e.Prepare(t.Context(), module); err != nil {
		t.Fatal(err)
	}
	entry := entryOf(t, e.cache, hash)
	for kind, path := range entry.paths {
		for _, name := range []string{"emptied", "truncated", "zeroed", "removed"} {
			t.Run(kind+" "+name, func(t *testing.T) {
				entry.restore(t)
				apply(t, damages(2)[name], path, entry.whole[kind])
				e := newEngine(t, inDir)
				if _, err := e.Load(t.Context(), string(hash), nil); !errors.Is(err, ErrNotFound) {
					t.Fatalf("without the source: %v, want %v", err, ErrNotFound)
				}
				p := newPool(t, e, "reactor", PoolConfig{})
				if got := mustRun(t, p, runEcho, 5); got != 5 {
					t.Errorf("echo = %d", got)
				}
			})
		}
	}
}

func TestLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	inDir := func(o *Options) { o.CacheDir = dir }
	module := guest(t, "reactor")
	hash := string(digestOf(module))
	first := newEngine(t, inDir)
	if _, err := first.Load(t.Context(), hash, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("nothing was compiled: %v, want %v", err, ErrNotFound)
	}
	broken := errors.New("the store is gone")
	if _, err := first.Load(t.Context(), hash, func(context.Context) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("the source fails: %v, want %v", err, broken)
	}
	if _, err := first.Load(t.Context(), hash, func(context.Context) ([]byte, error) { return []byte("other"), nil }); err == nil || !strings.Contains(err.Error(), "has become") {
		t.Errorf("the source is another: %v", err)
	}
	m := loadGuest(t, first, "reactor")
	if again, err := first.Load(t.Context(), hash, nil); err != nil || again != m {
		t.Errorf("loading again: %p, %v; want %p", again, err, m)
	} else {
		again.Release()
	}
	m.Release()

	second := newEngine(t, inDir, func(o *Options) { o.Compiler = child("crash") })
	m, err := second.Load(t.Context(), hash, nil)
	if err != nil {
		t.Fatalf("after a restart: %v", err)
	}
	if m.Shape().Dialect != "test" {
		t.Errorf("shape %+v", m.Shape())
	}
	m.Release()
}

// Code made by another version, or for another processor, is made again.
func TestCacheOfAnotherVersion(t *testing.T) {
	e := newEngine(t)
	module := guest(t, "reactor")
	if _, err := e.Prepare(t.Context(), module); err != nil {
		t.Fatal(err)
	}
	e.cache.identity = "another"
	if _, _, err := e.cache.read(digestOf(module)); !errors.Is(err, errDamaged) {
		t.Errorf("read with error %v", err)
	}
}

func TestCacheIsPrivate(t *testing.T) {
	e := newEngine(t)
	loadGuest(t, e, "reactor").Release()
	err := filepath.WalkDir(e.cache.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Code stays in memory up to a bound: what no pool holds goes first, then that
// of pools in which nothing runs.
func TestEviction(t *testing.T) {
	e := newEngine(t)
	loaded := func() (names []string) {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, name := range []string{"reactor", "command", "hostile"} {
			if m := e.modules[key{digestOf(guest(t, name)), false}]; m != nil && m.code != nil {
				names = append(names, name)
			}
		}
		return names
	}
	expect := func(when string, want ...string) {
		t.Helper()
		if got := loaded(); !slices.Equal(got, want) {
			t.Errorf("%s: %v are loaded, want %v", when, got, want)
		}
	}
	p := newPool(t, e, "reactor", PoolConfig{})
	mustRun(t, p, runCount, 0)
	loadGuest(t, e, "command").Release()
	expect("within the bound", "reactor", "command")
	e.codeMemory = 1
	release := hold(t, p)
	loadGuest(t, e, "hostile").Release()
	expect("while a call runs", "reactor")
	release()
	e.evict()
	expect("when nothing runs")
	if s := p.Stats(); s.Idle != 0 || s.Memory != 0 {
		t.Errorf("the pool still has the stats %+v", s)
	}
	if got := mustRun(t, p, runCount, 0); got != 1 {
		t.Errorf("loaded again, the guest counts %d", got)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"Identity":"1","Wasm":"00","Native":"wazero/00","Facts":{}}`))
	f.Add([]byte("{}"))
	f.Add([]byte("\xff"))
	c := &cache{dir: f.TempDir()}
	if err := os.MkdirAll(filepath.Join(c.dir, "modules"), 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text := append([]byte(digestOf(body)+"\n"), body...)
		if err := os.WriteFile(c.recordPath("x"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := c.readRecord("x"); err == nil && r.Identity != "" {
			t.Errorf("a record of the identity %q was read", r.Identity)
		}
	})
}
