package repair

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/secret"
	"github.com/berth-host/berth/registry/store/bolt"
)

// TestKey puts keys where one is missing, can't be used, or is there.
func TestKey(t *testing.T) {
	folder := filled(t)
	place := filepath.Join(folder, "secret.key")
	right, wrong := bytes.Repeat([]byte{1}, secret.KeySize), bytes.Repeat([]byte{2}, secret.KeySize)
	box, err := secret.New(right)
	if err != nil {
		t.Fatal(err)
	}
	token, err := box.Seal([]byte("hunter2"), "some place")
	if err != nil {
		t.Fatal(err)
	}
	s, err := bolt.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	_, err = revision.New(s).Update(t.Context(), revision.Edit{Who: "owner", Why: "a secret", Apply: func(d *revision.Draft) error {
		value := json.RawMessage(`{"$secret":"` + token + `"}`)
		return d.SetConfig(revision.Place{Level: config.Package, Package: "some.example/package"}, "password", value)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	keep := func(key []byte) string {
		file := filepath.Join(t.TempDir(), "kept")
		if err := os.WriteFile(file, key, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	refused := func(key []byte, why string) {
		t.Helper()
		before, _ := os.ReadFile(place)
		if code, output := run(t, folder, helper.PutKey, keep(key)); code != helper.ExitFailed || !strings.Contains(output, why) {
			t.Errorf("%d %s", code, output)
		}
		if now, _ := os.ReadFile(place); !bytes.Equal(now, before) {
			t.Error("the key was changed")
		}
	}
	refused(right[1:], "this is not a secret.key")
	refused(append(right[:31:31], 1, 1), "this is not a secret.key")
	refused(wrong, "the secret.key of another server")
	if err := os.WriteFile(place, []byte("cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, output := run(t, folder, helper.PutKey, keep(right)); code != helper.ExitDone || !strings.Contains(output, "is kept as secret.key.before-") {
		t.Errorf("%d %s", code, output)
	}
	if key, _ := os.ReadFile(place); !bytes.Equal(key, right) {
		t.Errorf("the key is %x", key)
	}
	refused(right, errHasKey.Error())
	if code, output := run(t, folder, helper.NewKey); code != helper.ExitFailed || !strings.Contains(output, errHasKey.Error()) {
		t.Errorf("a new key: %d %s", code, output)
	}
	// A key that opens nothing gives way to the one that does.
	if err := os.WriteFile(place, wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, output := run(t, folder, helper.PutKey, keep(right)); code != helper.ExitDone {
		t.Errorf("%d %s", code, output)
	}
	if err := os.Remove(place); err != nil {
		t.Fatal(err)
	}
	if code, output := run(t, folder, helper.NewKey); code != helper.ExitDone {
		t.Errorf("%d %s", code, output)
	}
	if _, err := secret.Load(place); err != nil {
		t.Error(err)
	}
}
