//go:build unix

package server

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/record"
)

// TestAnyDataFolder puts noise, nothing, folders and pipes in place of every
// file that the server may read. Its page comes within a second.
func TestAnyDataFolder(t *testing.T) {
	noise := func(path string) error {
		b := make([]byte, 200_000)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		return os.WriteFile(path, b, 0o600)
	}
	for what, put := range map[string]func(path string) error{
		"noise":          noise,
		"empty":          func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"folder":         func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":           func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"link to itself": func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"huge":           func(path string) error { return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40)) },
	} {
		t.Run(what, func(t *testing.T) {
			h := loggedIn(t, "on")
			if _, err := record.In(h.data).AddCrash(record.Crash{Message: "it broke"}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{
				"startup.toml", "startup.toml.before-1", "registry.db", "registry.lock", "secret.key", "beta.key", "console.json", password.ClaimFile, password.FileName,
				"password.hash.copy", "failsafe/boot.record", "failsafe/door.record", "failsafe/crash-000001.record", "blobs", "cache", "backups",
			} {
				path := filepath.Join(h.data, filepath.FromSlash(name))
				if err := errors.Join(os.RemoveAll(path), put(path)); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			// Another child, whose owner is handed over; and one who logs in is told.
			fresh := New(h.server.start, h.server.config)
			h.http.Config.Handler = fresh.Console()
			began := time.Now()
			status, page := h.get("/")
			if took := time.Since(began); status != http.StatusOK || took > time.Second {
				t.Errorf("%d after %v", status, took)
			}
			wants(t, page, "Nothing was deleted.", "The file with the password is damaged", password.ClaimFile)
			// Whoever is in sees everything else.
			h.http.Config.Handler = h.server.Console()
			for _, path := range []string{"/", "/startup", "/access", "/commands", "/report"} {
				began := time.Now()
				status, _ := h.get(path)
				if took := time.Since(began); status != http.StatusOK || took > time.Second {
					t.Errorf("%s: %d after %v", path, status, took)
				}
			}
		})
	}
	t.Run("no folder", func(t *testing.T) {
		h := loggedIn(t, "on")
		if err := os.RemoveAll(h.data); err != nil {
			t.Fatal(err)
		}
		if status, page := h.get("/"); status != http.StatusOK || !strings.Contains(page, "page 7 is in use twice") {
			t.Errorf("%d", status)
		}
	})
}
