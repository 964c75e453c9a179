package migrate_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry/data"
	"github.com/berth-host/berth/registry/store/memory"
)

// compileChild makes the test binary be the child process that compiles.
const compileChild = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(compileChild) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// kept is package data in the words of the site.
type kept struct{ data.Namespace }

func (k kept) Get(ctx context.Context, key string) (berth.Entry, error) {
	e, err := k.Namespace.Get(ctx, key)
	return berth.Entry(e), err
}

func (k kept) List(ctx context.Context, prefix, after string, limit int) ([]berth.Entry, error) {
	page, err := k.Namespace.List(ctx, prefix, after, limit)
	entries := make([]berth.Entry, len(page))
	for i, e := range page {
		entries[i] = berth.Entry(e)
	}
	return entries, err
}

// TestGuest builds a guest and lets it migrate more than fits into one page.
func TestGuest(t *testing.T) {
	if testing.Short() {
		t.Skip("building a guest takes a while")
	}
	file := filepath.Join(t.TempDir(), "guest.wasm")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-s -w", "-o", file, "./testdata/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	wasm, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(t.Context(), engine.Options{
		CacheDir: t.TempDir(), Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect},
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), compileChild+"=1")
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := site.New(site.Options{Engine: e})
	t.Cleanup(func() {
		if err := errors.Join(s.Close(context.Background()), e.Close(context.Background())); err != nil {
			t.Error(err)
		}
	})
	namespace := data.In(memory.New().Data(), "guest")
	const keys = 2000
	for i := range keys {
		if _, err := namespace.Put(t.Context(), fmt.Sprintf("key%04d", i), []byte("some text"), 0); err != nil {
			t.Fatal(err)
		}
	}
	hash := sha256.Sum256(wasm)
	migration := site.Migration{Mount: "m", Slot: site.Production, Path: "/", From: 1, To: 2, Unit: &site.Unit{
		ID: "guest", Package: "guest.example/guest", Version: "v2.0.0", Dialect: "http-wasm", Data: kept{namespace},
		Code: &site.Code{Hash: hex.EncodeToString(hash[:]), Open: func(context.Context) ([]byte, error) { return wasm, nil }},
	}}
	if err := s.Migrate(t.Context(), migration); err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		if e, err := namespace.Get(t.Context(), fmt.Sprintf("key%04d", i)); err != nil || string(e.Value) != "SOME TEXT" {
			t.Fatalf("key %d: %+v, %v", i, e, err)
		}
	}
	migration.From = 0
	if err := s.Migrate(t.Context(), migration); !errors.Is(err, site.ErrMigration) || !strings.Contains(err.Error(), "guest.example/guest@v2.0.0: the migration failed from data version 0 to 2") {
		t.Error(err)
	}
	logged := ""
	for line := range s.Log(t.Context(), "m", site.Production, false) {
		logged += line.Level + " " + line.Text + "\n"
	}
	if !strings.Contains(logged, "error migration: from 0 to 2 is not known") {
		t.Errorf("the log says %q", logged)
	}
}
