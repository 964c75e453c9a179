//go:build linux

package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berth-host/berth/cmd/berth/repair"
	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/cmd/berth/service"
	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/wrapper"
	"github.com/berth-host/berth/host/engine"
)

// What the test binary is when it is started with one of these as its first
// argument; the second is a [setup] as JSON.
const (
	asWrapper  = "fault-wrapper"
	asChild    = "fault-child"
	asCompiler = "fault-compiler"
)

// ownerPassword is that of every server here.
const ownerPassword = "canary-of-the-owner-7261"

// A setup is how a server is run.
type setup struct {
	Data         string
	Console      int    // port
	Site         string // address
	Limits       wrapper.Limits
	PasswordFile string
	Tracer       []string // command that runs the child; nil: none
	Fault        string   // file that holds a [sabotage] while there is a cause
}

func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		var s setup
		switch os.Args[1] {
		case asWrapper, asChild:
			if err := json.Unmarshal([]byte(os.Args[2]), &s); err != nil {
				panic(err)
			}
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		switch os.Args[1] {
		case asWrapper:
			command := append(s.Tracer, os.Args[0], asChild, os.Args[2])
			os.Exit(service.Wrap(ctx, s.config(), wrapper.Config{Executable: command[0], Args: command[1:], Limits: s.Limits}, func(a wrapper.Addresses) {
				_ = json.NewEncoder(os.Stdout).Encode(a) // the rig waits for it
			}))
		case asChild:
			os.Exit(s.child(ctx))
		}
	}
	if len(os.Args) > 1 && os.Args[1] == asCompiler {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == helper.Verb {
		os.Exit(repairMain(os.Args[2:]))
	}
	// Most rows wait for something most of the time.
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		must(f.Value.Set("8"))
	}
	code := m.Run()
	if data, err := template(); err == nil {
		must(os.RemoveAll(filepath.Dir(data)))
	}
	os.Exit(code)
}

func (s setup) config() service.Config {
	return service.Config{Data: s.Data, Site: s.Site, Port: s.Console, PasswordFile: s.PasswordFile, Version: "test", Stderr: os.Stderr}
}

// repairMain is a helper of the failsafe pages.
func repairMain(args []string) int {
	f := flag.NewFlagSet(helper.Verb, flag.ExitOnError)
	data := f.String("data", "", "")
	limit := f.Duration("time", 0, "")
	memory := f.Int64("memory", 0, "")
	must(f.Parse(args))
	d := &repair.Data{Folder: *data, Out: os.Stdout, Compiler: compiler}
	must(d.Limit(helper.Limits{Time: *limit, Memory: *memory}))
	err := d.Run(context.Background(), f.Arg(0), f.Args()[1:], os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth: error:", err)
	}
	return repair.ExitCode(err)
}

func compiler(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, os.Args[0], asCompiler) }

// child is the process under the wrapper, with the saboteur in it.
func (s setup) child(ctx context.Context) int {
	child, err := protocol.Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sab := &saboteur{Child: child, data: s.Data, fault: s.Fault, cancel: cancel}
	if b, err := os.ReadFile(s.Fault); err == nil {
		if err := json.Unmarshal(b, &sab.sabotage); err != nil {
			panic(err)
		}
	}
	options := server.Options{Compiler: compiler, Wrapper: sab, Now: sab.now}
	if child.Mode() != protocol.Failsafe {
		sab.reach(protocol.PhaseProcess)
		if err := context.Cause(ctx); err != nil {
			return child.Serious(protocol.Fault{Message: err.Error(), Kind: "process"})
		}
	}
	return service.Child(ctx, s.config(), child, options)
}

// A sabotage is what goes wrong and when. Its cause, as the owner is to read
// it, is the message.
type sabotage struct {
	Phase protocol.Phase
	Kind  string
	Mode  protocol.Mode // only in this mode; "": in all but failsafe
}

// A saboteur stands between server and wrapper and brings about a fault when
// the server reports a phase.
type saboteur struct {
	*protocol.Child
	sabotage
	data   string
	fault  string
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	shift time.Duration // of the wall clock
}

// The messages of injected faults.
const (
	injected = "injected fault 4711"
	filler   = "filler"
)

func (s *saboteur) Phase(r protocol.Report) {
	s.Child.Phase(r)
	s.reach(r.Phase)
}

func (s *saboteur) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.shift)
}

const year = 365 * 24 * time.Hour

// reach does the harm when its phase has come.
func (s *saboteur) reach(phase protocol.Phase) {
	if phase != s.sabotage.Phase || s.sabotage.Mode != "" && s.sabotage.Mode != s.Child.Mode() {
		return
	}
	s.sabotage.Phase = "" // once in a process
	switch s.Kind {
	case "error":
		s.cancel(errors.New(injected))
	case "panic":
		panic(injected)
	case "fatal":
		new(sync.Mutex).Unlock() // fatal error: no recover catches it
	case "exit":
		fmt.Fprintln(os.Stderr, injected)
		os.Exit(3)
	case "hang":
		select {}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "memory":
		exhaustMemory()
	case "disk full":
		must(fill(filepath.Join(filepath.Dir(s.data), filler)))
	case "read-only":
		must(syscall.Mount("", filepath.Dir(s.data), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	case "corrupt":
		must(spoil(filepath.Join(s.data, "registry.db")))
	case "password":
		must(spoil(filepath.Join(s.data, "password.hash")))
	case "orphan":
		must(exec.Command("sh", "-c", "setsid sleep 0.5 &").Run())
	case "leak":
		// What careless code would do.
		key := fmt.Sprintf("%x", []byte(s.Start().Key))
		must(os.WriteFile(s.fault+".key", []byte(key), 0o600))
		access, err := os.ReadFile(filepath.Join(s.data, "console.json"))
		must(err)
		fmt.Fprintf(os.Stderr, "start=%+v %v password=%s access=%s\n", s.Start(), s.Start().Key, ownerPassword, access)
		panic("Authorization: Bearer " + string(access))
	case "clock+", "clock-":
		s.mu.Lock()
		s.shift = year
		if s.Kind == "clock-" {
			s.shift = -year
		}
		s.mu.Unlock()
	default:
		panic("unknown sabotage " + s.Kind)
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "the sabotage itself failed:", err)
		os.Exit(99)
	}
}

// exhaustMemory takes memory until the system gives no more: the limit of
// address space (ulimit -v) is set just above what the process has.
func exhaustMemory() {
	statm, err := os.ReadFile("/proc/self/statm")
	must(err)
	pages, err := strconv.ParseUint(strings.Fields(string(statm))[0], 10, 64)
	must(err)
	limit := pages*uint64(os.Getpagesize()) + 64<<20
	must(syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}))
	for {
		hoard = append(hoard, bytes.Repeat([]byte{1}, 1<<20))
	}
}

var hoard [][]byte

// fill writes a file until the disk is full.
func fill(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for block := make([]byte, 64<<10); ; {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) && len(block) > 1 {
			block = block[:len(block)/2]
		} else if errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// spoil overwrites the beginning of a file in place, as a failing disk does.
func spoil(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(bytes.Repeat([]byte("spoiled "), 2<<10), 0)
	return err
}
