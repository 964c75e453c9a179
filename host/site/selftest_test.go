package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// A compiler that is wrong about a module is found out before it gets traffic:
// the interpreter serves, and the owner is told.
func TestSelfTest(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	e, err := engine.New(t.Context(), engine.Options{
		CacheDir: dir,
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"=1", "GORACE=atexit_sleep_ms=0")
			return cmd
		},
		Dialects: []*abi.Dialect{httpwasm.Dialect, berth.Dialect},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	right := guestFile(t, "status")
	wrong := bytes.Replace(right, []byte{0x41, 0xc8, 0x01}, []byte{0x41, 0xca, 0x01}, 1) // answers 202
	trusted := bytes.Replace(right, []byte{0x41, 0xc8, 0x01}, []byte{0x41, 0xcc, 0x01}, 1)
	for _, module := range [][]byte{right, wrong, trusted} {
		if _, err := e.Prepare(t.Context(), module); err != nil {
			t.Fatal(err)
		}
	}
	miscompile(t, dir, right, wrong)

	s := New(Options{Engine: e})
	defer s.Close(context.Background())
	unit := func(module []byte) *Unit {
		return &Unit{ID: "status " + string(module), Package: "status.example/status", Version: "v1.0.0", Code: codeOf(module), Dialect: dialectHTTPWasm, Health: "/"}
	}
	apply(t, s, Change{Settings: &Settings{Open: true}, Put: []Mount{mountAt("/right", deploy(unit(right))), mountAt("/trusted", deploy(unit(trusted)))}})
	v := visitorOf(t, s)
	if got := v.get("/right"); got.status != 200 {
		t.Errorf("a visitor gets status %d, as wrong machine code answers", got.status)
	}
	if got := v.get("/trusted"); got.status != 204 {
		t.Errorf("the other module answers %d", got.status)
	}
	if reason := e.Distrusted(codeOf(right).Hash); !strings.Contains(reason, "status 202 and 200") {
		t.Errorf("the reason is %q", reason)
	}
	if reason := e.Distrusted(codeOf(trusted).Hash); reason != "" {
		t.Errorf("a module is distrusted without reason: %s", reason)
	}
	logged := ""
	for line := range s.Log(t.Context(), "mount /right", Production, false) {
		logged += line.Level + " " + line.Text
	}
	if !strings.Contains(logged, "error its health path / answers differently") {
		t.Errorf("the log says %q", logged)
	}
}

// miscompile gives a module the machine code of another.
func miscompile(t *testing.T, dir string, module, other []byte) {
	t.Helper()
	read := func(module []byte) (record map[string]any, file string) {
		file = filepath.Join(dir, "modules", codeOf(module).Hash+".json")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(text, []byte{'\n'})
		if err := json.Unmarshal(body, &record); err != nil {
			t.Fatal(err)
		}
		return record, file
	}
	record, file := read(module)
	from, _ := read(other)
	code, err := os.ReadFile(filepath.Join(dir, from["Native"].(string)))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, record["Native"].(string)), code, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	record["Code"], record["CodeSize"] = from["Code"], from["CodeSize"]
	body, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	if err := os.WriteFile(file, append([]byte(hex.EncodeToString(sum[:])+"\n"), body...), 0o600); err != nil {
		t.Fatal(err)
	}
}
