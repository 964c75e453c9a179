package berth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/registry/publish"
)

// compileChild makes the test binary be the child process that compiles.
const compileChild = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(compileChild) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// A sample is a package with what it answers.
type sample struct {
	from string   // a zip or a folder
	path string   // where it is mounted; "" for a dependency
	ask  []string // paths
	want []string // each in all answers together
}

// TestFrozenPackages installs packages that were packed long ago: today's
// server must run them. See testdata/frozen.
func TestFrozenPackages(t *testing.T) {
	ask(t, []sample{
		{from: "testdata/frozen/v1/baz-v2.1.3.zip"},
		{from: "testdata/frozen/v1/baz-v2.5.1.zip"},
		{"testdata/frozen/v1/c-v1.0.0.zip", "/c", []string{"/c/x?y"}, []string{"hello /c/x?y"}},
		{"testdata/frozen/v1/cgi-v1.0.0.zip", "/cgi", []string{"/cgi/x"}, []string{"hello /x"}},
		{"testdata/frozen/v1/http-wasm-v1.0.0.zip", "/old", []string{"/old/u?q", "/old/m"}, []string{"/old/u?q/old"}},
		{"testdata/frozen/v1/frundle-v0.5.0.zip", "/news", []string{"/news"}, []string{"Frundle 0.5 with", "Baz 2.5.1"}},
		{"testdata/frozen/v1/foobar-v3.5.0.zip", "/bar", []string{"/bar/", "/bar/static/style.css"}, []string{"<h1>Hello", "Foobar 3.5 with", "Baz 2.1.3", "This is visit number 1.", "font"}},
	})
}

// TestBundledPackages installs what is in the folder modules.
func TestBundledPackages(t *testing.T) {
	ask(t, []sample{
		{from: "modules/baz/v2.1.0"},
		{from: "modules/baz/v2.1.3"},
		{from: "modules/baz/v2.5.1"},
		{from: "modules/echo-c"},
		{"modules/call-c", "/call", []string{"/call/3"}, []string{"all calls were answered"}},
		{"modules/hello-c", "/c", []string{"/c/x"}, []string{"hello /c/x"}},
		{"modules/hello-go", "/go", []string{"/go/x"}, []string{"hello /go/x"}},
		{"modules/cgi-c", "/cgi", []string{"/cgi/x"}, []string{"hello /x"}},
		{"modules/cgi-go", "/cgi-go", []string{"/cgi-go/x"}, []string{"hello /x"}},
		{"modules/tally/v1.0.0", "/tally", []string{"/tally", "/tally/x"}, []string{"visit 1\n", "visit 2\n"}},
		{"modules/tally/v2.0.0", "/tally2", []string{"/tally2/x", "/tally2/y"}, []string{"visit 1 of this page; 0 before"}},
		{"modules/frundle", "/news", []string{"/news"}, []string{"Frundle 0.5 with", "Baz 2.5.1"}},
		{"modules/foobar", "/", []string{"/", "/static/style.css"}, []string{"Foobar 3.5 with", "Baz 2.1.3", "This is visit number 1.", "font"}},
	})
}

// ask installs samples in a new server and asks them.
func ask(t *testing.T, samples []sample) {
	owner, site := startServer(t)
	for _, s := range samples {
		pkg := upload(t, owner, s.from)
		if s.path == "" {
			continue
		}
		in := api.MountRequest{Package: pkg, Path: s.path, Slot: "production", Grants: []string{"all"}}
		if err := owner.Call(t.Context(), http.MethodPost, "/mounts", nil, in, nil); err != nil {
			t.Fatalf("%s: %v", s.from, err)
		}
		var answers strings.Builder
		for _, path := range s.ask {
			resp, err := http.Get(site + path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(&answers, resp.Body)
			resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s answers %s %v", s.from, path, resp.Status, err)
			}
		}
		for _, want := range s.want {
			if !strings.Contains(answers.String(), want) {
				t.Errorf("%s answers %q, want %q in it", s.from, answers.String(), want)
			}
		}
	}
}

// startServer runs a server with an open site until the test ends.
func startServer(t *testing.T) (owner *client.Client, site string) {
	startup := server.Startup{Data: t.TempDir(), Site: "127.0.0.1:0", Console: "127.0.0.1:0"}
	s, err := server.Open(t.Context(), startup, server.Options{
		Log: slog.New(slog.DiscardHandler),
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), compileChild+"=1")
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if owner, err = client.Find(startup.Data); err != nil {
		t.Fatal(err)
	}
	open := true
	if err := owner.Call(t.Context(), http.MethodPatch, "/site", nil, api.SiteChange{Open: &open}, nil); err != nil {
		t.Fatal(err)
	}
	return owner, s.SiteURL()
}

// upload installs a package from a zip or a folder.
func upload(t *testing.T, owner *client.Client, from string) (pkg string) {
	var zip []byte
	var err error
	if filepath.Ext(from) == ".zip" {
		zip, err = os.ReadFile(from)
	} else {
		var packed bytes.Buffer
		_, err = publish.Pack(t.Context(), from, &packed)
		zip = packed.Bytes()
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := owner.Do(t.Context(), http.MethodPost, "/packages/upload", url.Values{"name": {"p.zip"}}, bytes.NewReader(zip))
	if err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		t.Fatal(err)
	}
	if job, err = owner.Follow(t.Context(), job, func(console.Job) {}); err != nil {
		t.Fatal(err)
	}
	if job.Error != nil {
		t.Fatalf("%s: %v", from, job.Error)
	}
	var installed api.Installed
	if err := json.Unmarshal(job.Result, &installed); err != nil {
		t.Fatal(err)
	}
	return installed.Package.Package
}
