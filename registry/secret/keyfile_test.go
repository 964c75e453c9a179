package secret

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func TestCreateLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret.key")
	created, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode() != 0o600 || info.Size() != KeySize {
		t.Errorf("key file has mode %v and %d bytes", info.Mode(), info.Size())
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := loaded.Open(seal(t, created, "hunter2", "c"), "c"); err != nil || string(got) != "hunter2" {
		t.Errorf("the loaded key opens to %q, %v", got, err)
	}
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want ErrExist", err)
	}
	if again, err := Load(path); err != nil || again.KeyID() != created.KeyID() {
		t.Errorf("a refused Create changed the key file: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestCreateAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	var won, lost int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := Create(path)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if errors.Is(err, fs.ErrExist) {
				lost++
			}
		})
	}
	wg.Wait()
	if won != 1 || lost != 7 {
		t.Errorf("%d created and %d found it there, want 1 and 7", won, lost)
	}
	if _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func TestLoadRefuses(t *testing.T) {
	key := strings.Repeat("k", KeySize)
	for name, row := range map[string]struct {
		make func(path string) error
		want error
		text string
	}{
		"missing":   {func(string) error { return nil }, ErrNoKey, "put it back from your backup"},
		"empty":     {func(p string) error { return os.WriteFile(p, nil, 0o600) }, ErrKeyFile, "has 0 bytes"},
		"truncated": {func(p string) error { return os.WriteFile(p, []byte(key[:31]), 0o600) }, ErrKeyFile, "has 31 bytes"},
		"too long":  {func(p string) error { return os.WriteFile(p, []byte(key+"\n"), 0o600) }, ErrKeyFile, "has 33 bytes"},
		"a folder":  {func(p string) error { return os.Mkdir(p, 0o700) }, ErrKeyFile, "not a plain file"},
	} {
		path := filepath.Join(t.TempDir(), "secret.key")
		if err := row.make(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, row.want, row.text)
		}
	}
}

func TestLoadRefusesReadableByOthers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no modes on Windows")
	}
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := Create(path); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o660, 0o644, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, ErrKeyFile) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
}
