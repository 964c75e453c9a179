package repair

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
)

// helperVar makes the test binary a helper for the data folder that it names.
const helperVar = "REPAIR_HELPER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(helperVar); folder != "" {
		d := &Data{Folder: folder, Out: os.Stdout}
		if err := d.Limit(helper.Limits{Time: time.Minute, Memory: 1 << 30}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(helper.ExitFailed)
		}
		err := d.Run(context.Background(), os.Args[1], os.Args[2:], os.Stdin)
		if err != nil {
			fmt.Fprintln(os.Stderr, "berth: error:", err)
		}
		os.Exit(ExitCode(err))
	}
	os.Exit(m.Run())
}

// filled makes a store with a history, some data and a blob.
func filled(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	s, err := bolt.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	chain := revision.New(s)
	for i := range 30 {
		_, err := chain.Update(t.Context(), revision.Edit{Who: "owner", Why: fmt.Sprint("title ", i), Apply: func(d *revision.Draft) error { return d.SetTitle(fmt.Sprint("Title ", i)) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Data().Put(t.Context(), "some/namespace", fmt.Sprint("key ", i), bytes.Repeat([]byte("value"), 2000), 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.PutBlob(t.Context(), strings.NewReader("a blob")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

// run runs a helper and returns its exit code, -1 for a signal.
func run(t *testing.T, folder string, args ...string) (code int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), helperVar+"="+folder)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s hangs:\n%s", args, out)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// damages are what disks do to a database.
var damages = map[string]func(random *rand.Rand, raw []byte) []byte{
	"noise at some places": func(random *rand.Rand, raw []byte) []byte {
		for range 20 {
			raw[random.IntN(len(raw))] = byte(random.Uint32())
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
	"the end missing": func(random *rand.Rand, raw []byte) []byte { return raw[:random.IntN(len(raw))] },
	"all noise": func(random *rand.Rand, raw []byte) []byte {
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		return raw
	},
	"nothing": func(*rand.Rand, []byte) []byte { return nil },
}

// TestDamagedStores runs helpers over stores with damage of all kinds. Each
// ends in time and says something; who only looks changes nothing; and in the
// end a backup brings everything back.
func TestDamagedStores(t *testing.T) {
	folder := filled(t)
	code, backup := run(t, folder, helper.BackupStdout)
	if code != helper.ExitDone {
		t.Fatal(backup)
	}
	kept := filepath.Join(t.TempDir(), "backup.tar")
	if err := os.WriteFile(kept, []byte(backup), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "registry.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, damage := range damages {
		seed := rand.Uint64()
		broken := damage(rand.New(rand.NewPCG(seed, 0)), bytes.Clone(good))
		for _, args := range [][]string{{helper.List}, {helper.Check}, {helper.Doctor}, {helper.BackupStdout}, {helper.Revisions}, {helper.GoBack, "3"}, {helper.Compact}, {helper.RevertPage}} {
			if err := os.WriteFile(path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			code, output := run(t, folder, args...)
			if code != helper.ExitDone && strings.TrimSpace(output) == "" {
				t.Errorf("%s (seed %d), %s: code %d and not a word", what, seed, args, code)
			}
			now, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			looks := slices.Contains([]string{helper.List, helper.Check, helper.Doctor, helper.BackupStdout, helper.Revisions}, args[0])
			if (looks || code != helper.ExitDone) && !bytes.Equal(now, broken) {
				t.Errorf("%s (seed %d), %s: code %d, and the database was changed", what, seed, args, code)
			}
		}
		if code, output := run(t, folder, helper.RestoreFile, kept); code != helper.ExitDone {
			t.Errorf("%s (seed %d), restore: code %d\n%s", what, seed, code, output)
		}
		if code, output := run(t, folder, helper.Revisions); code != helper.ExitDone || !strings.Contains(output, "title 29") {
			t.Errorf("%s (seed %d), after restoring: code %d\n%s", what, seed, code, output)
		}
	}
	asides, err := filepath.Glob(filepath.Join(folder, bolt.AsidePrefix+"*"))
	if err != nil || len(asides) != len(damages) {
		t.Errorf("%d stores are kept aside, want %d: %v", len(asides), len(damages), err)
	}
}

// damageRoot writes noise over the root page of the newest state, as its meta
// page names it (bbolt: page header of 16 bytes, root at byte 16 of the meta,
// transaction at 48), in pages of the machine's size.
func damageRoot(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := int64(os.Getpagesize())
	var root, newest uint64
	for _, at := range []int64{0, size} {
		var b [64]byte
		if _, err := f.ReadAt(b[:], at+16); err != nil {
			t.Fatal(err)
		}
		if tx := binary.NativeEndian.Uint64(b[48:]); tx > newest {
			newest, root = tx, binary.NativeEndian.Uint64(b[16:])
		}
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, 64), int64(root)*size); err != nil {
		t.Fatal(err)
	}
}

// TestLadder takes the steps of the page Store after a loss of power.
func TestLadder(t *testing.T) {
	folder := filled(t)
	s, err := bolt.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.SwapRefs(t.Context(), store.RefChange{Name: "last", Value: []byte("write")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damageRoot(t, filepath.Join(folder, "registry.db"))
	if code, output := run(t, folder, helper.Check); code != helper.ExitFailed || !strings.Contains(output, "damaged") {
		t.Errorf("check: code %d\n%s", code, output)
	}
	if code, output := run(t, folder, helper.RevertPage); code != helper.ExitDone || !strings.Contains(output, "registry.db.before-revert-") {
		t.Errorf("revert-page: code %d\n%s", code, output)
	}
	if code, output := run(t, folder, helper.Check); code != helper.ExitDone {
		t.Errorf("check after it: code %d\n%s", code, output)
	}
	if code, output := run(t, folder, helper.Revisions); code != helper.ExitDone || !strings.Contains(output, "title 29") {
		t.Errorf("revisions after it: code %d\n%s", code, output)
	}
}

func TestNoStore(t *testing.T) {
	folder := t.TempDir()
	for _, args := range [][]string{{helper.Check}, {helper.Revisions}, {helper.BackupStdout}, {helper.GoBack, "1"}, {helper.Compact}, {helper.RevertPage}} {
		if code, output := run(t, folder, args...); code != helper.ExitFailed || output == "" {
			t.Errorf("%s: code %d\n%s", args, code, output)
		}
	}
	if has, err := bolt.HasStore(folder); has || err != nil {
		t.Errorf("a repair made a store: %v", err)
	}
}

func TestLocked(t *testing.T) {
	folder := filled(t)
	s, err := bolt.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, args := range [][]string{{helper.Check}, {helper.GoBack, "1"}, {helper.Compact}, {helper.RevertPage}, {helper.Disable, "/"}} {
		if code, output := run(t, folder, args...); code != helper.ExitLocked {
			t.Errorf("%s: code %d\n%s", args, code, output)
		}
	}
	if code, output := run(t, folder, helper.List); code != helper.ExitDone || !strings.Contains(output, `"locked":true`) {
		t.Errorf("list: code %d\n%s", code, output)
	}
}
