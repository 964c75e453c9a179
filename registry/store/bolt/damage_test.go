package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/storetest"
)

// damageWays change the bytes of a database file.
var damageWays = map[string]func(random *rand.Rand, raw []byte) []byte{
	"one bit": func(random *rand.Rand, raw []byte) []byte {
		raw[random.IntN(len(raw))] ^= 1 << random.IntN(8)
		return raw
	},
	"the head of a page": func(random *rand.Rand, raw []byte) []byte {
		at := random.IntN(len(raw)/4096)*4096 + random.IntN(64)
		raw[at] = byte(random.IntN(16)) // small numbers look like page ids and counts
		return raw
	},
	"a stretch of noise": func(random *rand.Rand, raw []byte) []byte {
		at := random.IntN(len(raw))
		for i := range raw[at:min(len(raw), at+1+random.IntN(600))] {
			raw[at+i] = byte(random.Uint32())
		}
		return raw
	},
	"a page of zeros": func(random *rand.Rand, raw []byte) []byte {
		clear(raw[random.IntN(len(raw)/4096)*4096:][:4096])
		return raw
	},
	"a page over another": func(random *rand.Rand, raw []byte) []byte {
		from, to := random.IntN(len(raw)/4096)*4096, random.IntN(len(raw)/4096)*4096
		copy(raw[to:to+4096], raw[from:from+4096])
		return raw
	},
	"the end missing": func(random *rand.Rand, raw []byte) []byte {
		return raw[:random.IntN(len(raw))]
	},
	"all noise": func(random *rand.Rand, raw []byte) []byte {
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		return raw
	},
}

// TestDamage opens and uses databases with damage of all kinds: each call ends
// in time, with an error or with the right answer.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	storetest.Fill(t, s)
	for i := range 400 {
		name := fmt.Sprintf("reference/%03d", i)
		if _, err := s.SwapRefs(t.Context(), store.RefChange{Name: name, Value: valueOf(name)}); err != nil {
			t.Fatal(err)
		}
		namespace := fmt.Sprintf("namespace/%d", i%5)
		if _, err := s.Data().Put(t.Context(), namespace, name, valueOf(name), 0); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	path := filepath.Join(dir, databaseName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for way, damage := range damageWays {
		t.Run(way, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			opened, detected := 0, 0
			for range rounds {
				if err := os.WriteFile(path, damage(random, bytes.Clone(good)), 0o600); err != nil {
					t.Fatal(err)
				}
				s, err := Open(dir)
				if err != nil {
					if !errors.Is(err, store.ErrCorrupt) {
						t.Errorf("open: %v", err)
					}
					continue
				}
				opened++
				if useAll(t, s) {
					detected++
				}
				mustClose(t, s)
			}
			t.Logf("%d damages: %d found by Open, %d by Check, %d in unused bytes or undone by the older of two meta pages", rounds, rounds-opened, detected, opened-detected)
		})
	}
}

func valueOf(name string) []byte { return bytes.Repeat([]byte(name), 7) }

// useAll reads and writes all over a store and reports whether a check finds
// damage.
func useAll(t *testing.T, s *Store) (damaged bool) {
	t.Helper()
	start, ctx := time.Now(), t.Context()
	for d := range s.Check(ctx) {
		damaged = true
		if !errors.Is(d.Err, store.ErrCorrupt) {
			t.Errorf("check: %s: %v", d.Subject, d.Err)
		}
	}
	wrong := func(what, name string, value []byte, err error) {
		switch {
		case err == nil && !bytes.Equal(value, valueOf(name)):
			t.Errorf("%s %s has other bytes than were written", what, name)
		case err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrNotFound):
			t.Errorf("%s %s: %v", what, name, err)
		case err != nil && !damaged && name != "reference/399":
			t.Errorf("%s %s: %v, but a check finds nothing", what, name, err)
		}
	}
	for i := range 400 {
		name := fmt.Sprintf("reference/%03d", i)
		ref, err := s.Ref(ctx, name)
		wrong("reference", name, ref.Value, err)
		e, err := s.Data().Get(ctx, fmt.Sprintf("namespace/%d", i%5), name)
		wrong("key", name, e.Value, err)
	}
	refs, err := s.ListRefs(ctx, "reference/", "", 0)
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("list: %v", err)
	}
	for _, ref := range refs {
		wrong("listed reference", ref.Name, ref.Value, nil)
	}
	if _, err := s.Data().Put(ctx, "namespace/1", "new", valueOf("new"), store.AnyRevision); err != nil && !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("put: %v", err)
	}
	if err := s.Data().Drop(ctx, "namespace/2"); err != nil && !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("drop: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	return damaged
}

// TestPageNamesItself is the damage that bbolt would follow until the stack is
// used up: a branch page that is its own child.
func TestPageNamesItself(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range 300 {
		name := fmt.Sprintf("reference/%03d", i)
		if _, err := s.SwapRefs(t.Context(), store.RefChange{Name: name, Value: valueOf(name)}); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	path := filepath.Join(dir, databaseName)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	changed := 0
	for at := 2 * size; at < len(raw); at += size {
		if p := parsePage(raw[at : at+pageHead]); p.flags == branchFlag && p.count > 0 {
			order.PutUint64(raw[at+pageHead+8:], p.id)
			changed++
		}
	}
	if changed == 0 {
		t.Fatal("the database has no branch page")
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("open: %v", err)
	}
}

// TestNoDatabase opens folders whose database is no such thing.
func TestNoDatabase(t *testing.T) {
	for name, raw := range map[string][]byte{"empty": {}, "short": []byte("short"), "text": bytes.Repeat([]byte("text\n"), 10_000)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, databaseName), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if left, err := os.ReadFile(filepath.Join(dir, databaseName)); err != nil || !bytes.Equal(left, raw) {
			t.Errorf("%s: Open changed the file", name)
		}
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, databaseName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a folder in place of the database was opened")
	}
}
