package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/berth-host/berth/host/console/client"
)

const scripts = "testdata/script"

var update = flag.Bool("update", false, "write what the verbs print into the scripts")

// TestMain makes the test binary the program berth too, for the scripts and
// for the child process in which a server compiles modules.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"berth": main})
}

// TestScripts runs a script for each verb, against real servers.
//
// Beside the commands of testscript, a script has:
//
//	server [stop]                start berth serve on any free ports, or stop it; sets $SITE and $CONSOLE, and $SITE_ADDRESS without http://
//	crash                        kill the server under its wrapper, and wait for the next
//	serve-files DIR              serve a folder as any static file server does; sets $FILES
//	serve-nothing                take requests and never answer; sets $SILENCE
//	wait-for FILE [REGEXP]       wait until there is a file, and something in it
//	damage DIR                   alter a byte of the largest file below DIR
//	fails STATUS PROGRAM ARG...  like exec, for a program that has to exit with STATUS
//	visit [-cookie] URL          print status and body of what the site answers; -cookie takes a link's way
//	json PATH [VALUE]            standard output is JSON that has PATH, with VALUE; ! json: it has not
//	set NAME PATH                set $NAME to the value at PATH of the JSON on standard output
//
// A PATH is names and indexes with dots between, as in 0.package; len at
// its end is the length of a list. $MODULES holds the packages that ship with
// berth, $GUESTS the modules with which the engine is tested. Servers have
// their data in $BERTH_DATA. With -update, the files that cmp compares are
// written anew.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 scripts,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": cmdServer, "crash": cmdCrash, "serve-files": cmdServeFiles, "serve-nothing": cmdServeNothing,
			"wait-for": cmdWaitFor, "damage": cmdDamage, "fails": cmdFails, "visit": cmdVisit, "json": cmdJSON, "set": cmdSet,
		},
	})
}

func setupScript(e *testscript.Env) error {
	for name, dir := range map[string]string{"MODULES": "../../modules", "GUESTS": "../../host/engine/testdata"} {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		e.Setenv(name, abs)
	}
	e.Setenv("TZ", "UTC")
	e.Setenv("BERTH_ADMIN_PASSWORD", "a password for scripts")
	data := filepath.Join(e.WorkDir, "data")
	e.Setenv("BERTH_DATA", data)
	s := &scriptServer{}
	e.Values[serverKey{}] = s
	e.Defer(func() {
		if err := s.stop(); err != nil {
			e.T().Fatal(err)
		}
	})
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(data, "startup.toml"), []byte("site = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\nconsole = \"127.0.0.1:0\"\n"), 0o600)
}

// A scriptServer is the berth serve of one script.
type scriptServer struct {
	data    string    // its data folder
	command *exec.Cmd // nil: it does not run
	stderr  bytes.Buffer
	ended   chan error
}

type serverKey struct{}

// patience is how long a server may take to start or to stop: less than it
// gives to requests that run.
const patience = 15 * time.Second

func cmdServer(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*scriptServer)
	switch {
	case neg || len(args) > 1 || len(args) == 1 && args[0] != "stop":
		ts.Fatalf("usage: server [stop]")
	case len(args) == 1:
		ts.Check(s.stop())
	default:
		ts.Check(s.start(ts))
	}
}

func cmdCrash(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(serverKey{}).(*scriptServer)
	if neg || len(args) != 0 || s.command == nil {
		ts.Fatalf("usage: crash, while a server runs")
	}
	access := filepath.Join(s.data, client.AccessFile)
	before, err := os.ReadFile(access)
	ts.Check(err)
	ts.Check(exec.Command("pkill", "-KILL", "-P", strconv.Itoa(s.command.Process.Pid)).Run())
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if now, err := os.ReadFile(access); err == nil && !bytes.Equal(now, before) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("the server does not start again:\n%s", &s.stderr)
		}
	}
}

func (s *scriptServer) start(ts *testscript.TestScript) error {
	program, err := exec.LookPath("berth")
	if err != nil {
		return err
	}
	s.data = ts.Getenv("BERTH_DATA")
	s.stderr.Reset()
	s.ended = make(chan error, 1)
	command := exec.Command(program, "serve", "--json")
	command.Dir, command.Env = ts.Getenv("WORK"), append(os.Environ(), "BERTH_DATA="+s.data, "BERTH_ADMIN_PASSWORD="+ts.Getenv("BERTH_ADMIN_PASSWORD"))
	command.Stderr = &s.stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	s.command = command
	impatience := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	var started struct{ Site, Console string }
	decoded := json.NewDecoder(stdout).Decode(&started)
	impatience.Stop()
	go func() { s.ended <- command.Wait() }()
	if decoded != nil {
		return errors.Join(fmt.Errorf("the server did not start: %w", decoded), s.stop())
	}
	ts.Setenv("SITE", started.Site)
	ts.Setenv("SITE_ADDRESS", strings.TrimPrefix(started.Site, "http://"))
	ts.Setenv("CONSOLE", started.Console)
	return nil
}

// stop ends the server in the way of Ctrl-C: it has to end well, and to take
// its access file along.
func (s *scriptServer) stop() error {
	if s.command == nil {
		return nil
	}
	command := s.command
	s.command = nil
	_ = command.Process.Signal(os.Interrupt) // it may have ended: Wait tells
	select {
	case err := <-s.ended:
		if err != nil {
			return fmt.Errorf("the server ended with %w:\n%s", err, &s.stderr)
		}
		if _, err := os.Stat(filepath.Join(s.data, client.AccessFile)); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the server left its access file behind: %v", err)
		}
		return nil
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("the server does not stop:\n%s", &s.stderr), command.Process.Kill())
	}
}

func cmdServeFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serve-files DIR")
	}
	srv := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[0]))))
	ts.Defer(srv.Close)
	ts.Setenv("FILES", srv.URL)
}

func cmdServeNothing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: serve-nothing")
	}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ts.Defer(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	ts.Setenv("SILENCE", srv.URL)
}

func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: wait-for FILE [REGEXP]")
	}
	pattern := regexp.MustCompile(strings.Join(args[1:], ""))
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && pattern.Match(b) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("there is no such %s after %v: %v\n%s", args[0], patience, err, b)
		}
	}
}

func cmdDamage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	var largest string
	var size int64
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = file, info.Size()
		}
		return err
	}))
	content, err := os.ReadFile(largest)
	ts.Check(err)
	content[len(content)/2]++
	ts.Check(os.Chmod(largest, 0o600))
	ts.Check(os.WriteFile(largest, content, 0o600))
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails STATUS PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := &exec.ExitError{}
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func cmdVisit(ts *testscript.TestScript, neg bool, args []string) {
	follow := len(args) > 0 && args[0] == "-cookie"
	if follow {
		args = args[1:]
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: visit [-cookie] URL")
	}
	browser := &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(args[0])
	ts.Check(err)
	defer resp.Body.Close()
	if follow {
		req, err := http.NewRequest(http.MethodGet, args[0], nil)
		ts.Check(err)
		target, err := resp.Location()
		ts.Check(err)
		req.URL = target
		for _, c := range resp.Cookies() {
			req.AddCookie(c)
		}
		followed, err := browser.Do(req)
		ts.Check(err)
		defer followed.Body.Close()
		resp = followed
	}
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, body)
}

func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 || neg && len(args) != 1 {
		ts.Fatalf("usage: [!] json PATH [VALUE]")
	}
	got, err := jsonAt(ts.ReadFile("stdout"), args[0])
	switch missing := (*missingError)(nil); {
	case neg && errors.As(err, &missing):
	case err != nil:
		ts.Fatalf("%v", err)
	case neg:
		ts.Fatalf("there is a %s: %s", args[0], got)
	case len(args) == 2 && got != args[1]:
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

func cmdSet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: set NAME PATH")
	}
	value, err := jsonAt(ts.ReadFile("stdout"), args[1])
	ts.Check(err)
	ts.Setenv(args[0], value)
}

// A missingError says that JSON has no such path.
type missingError struct{ path string }

func (e *missingError) Error() string { return "there is no " + e.path }

// jsonAt returns a string as it is, and anything else as JSON without spaces.
// The text may hold several values, one after the other: they count as a list.
func jsonAt(text, path string) (string, error) {
	var values []any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", fmt.Errorf("not JSON: %w:\n%s", err, text)
		}
		values = append(values, v)
	}
	var at any = values
	switch len(values) {
	case 0:
		return "", errors.New("nothing was printed, where JSON was to be")
	case 1:
		at = values[0]
	}
	for step := range strings.SplitSeq(path, ".") {
		var found bool
		if at, found = jsonStep(at, step); !found {
			return "", &missingError{path}
		}
	}
	if s, ok := at.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(at)
	return string(b), err
}

func jsonStep(at any, step string) (any, bool) {
	switch at := at.(type) {
	case map[string]any:
		v, found := at[step]
		return v, found
	case []any:
		if step == "len" {
			return len(at), true
		}
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(at) {
			return nil, false
		}
		return at[i], true
	}
	return nil, false
}

// TestEveryVerbHasAScript keeps verbs and scripts together: each verb is used
// for people, for programs and wrongly.
func TestEveryVerbHasAScript(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scripts, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, file := range files {
		left[file] = true
	}
	for _, way := range []string{"help", "migrate"} { // of several verbs
		delete(left, filepath.Join(scripts, way+".txtar"))
	}
	for _, v := range verbs() {
		file := filepath.Join(scripts, v.name+".txtar")
		delete(left, file)
		if v.hidden {
			continue
		}
		script, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("verb %s: %v", v.name, err)
			continue
		}
		uses := regexp.MustCompile(`^(exec|fails [12]) (?:.*\b)?berth ` + v.name + `\b`)
		seen := map[string]bool{"with --json": v.noJSON}
		for line := range strings.Lines(string(script)) {
			switch m := uses.FindStringSubmatch(line); {
			case m == nil:
			case m[1] != "exec":
				seen["wrongly"] = true
			case strings.Contains(line, " --json"):
				seen["with --json"] = true
			default:
				seen["for people"] = true
			}
		}
		for _, way := range []string{"for people", "with --json", "wrongly"} {
			if !seen[way] {
				t.Errorf("%s does not run berth %s %s", file, v.name, way)
			}
		}
	}
	for file := range left {
		t.Errorf("%s is for no verb", file)
	}
}

// TestVerbHelp holds the help of every verb to what the verb reads.
func TestVerbHelp(t *testing.T) {
	for _, v := range verbs() {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), []string{v.name, "--help"}, nil, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Errorf("berth %s --help: status %d, %s", v.name, status, &stderr)
		}
		f := flag.NewFlagSet(v.name, flag.ContinueOnError)
		v.setup(&cli{}, f)
		f.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(stdout.String(), "\n  --"+f.Name) || f.Usage == "" {
				t.Errorf("berth %s --help does not explain --%s", v.name, f.Name)
			}
		})
		for line := range strings.Lines(stdout.String()) {
			if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > maxHelpLine {
				t.Errorf("berth %s --help: a line of %d characters: %s", v.name, n, line)
			}
		}
	}
}

// maxHelpLine is what fits into most terminals.
const maxHelpLine = 130
