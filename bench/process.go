package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/berth-host/berth/cmd/berth/server"
)

// A process is this program in another role: a berth server, or the control.
// It ends when its standard input does.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  *bufio.Reader
	urls  []string // where it listens, as it says when it answers
}

func start(ctx context.Context, args ...string) (*process, error) {
	cmd := self(ctx, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, stdin: stdin, said: bufio.NewReader(stdout)}
	text, err := p.said.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("bench %s did not start: %w", strings.Join(args, " "), errors.Join(err, p.stop()))
	}
	p.urls = strings.Fields(text)
	return p, nil
}

func (p *process) stop() error {
	_ = p.stdin.Close() // that is how it is told
	return p.cmd.Wait()
}

// settled returns how much memory the process occupies, in bytes, after it has
// given back what it does not need.
func (p *process) settled() (float64, error) {
	if _, err := p.allocated(); err != nil {
		return 0, err
	}
	return p.resident()
}

// allocated returns how much the process has allocated since it began, in
// bytes, and lets it give back what it does not need.
func (p *process) allocated() (bytes float64, err error) {
	if _, err := io.WriteString(p.stdin, "\n"); err != nil {
		return 0, err
	}
	_, err = fmt.Fscanln(p.said, &bytes)
	return bytes, err
}

// self is a command that runs this program.
func self(ctx context.Context, args ...string) *exec.Cmd {
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	return exec.CommandContext(ctx, program, args...)
}

// awaitEnd returns when the process that started this one says so. To each line
// that comes before, it gives memory back and says what it has allocated.
func awaitEnd(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			debug.FreeOSMemory()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Println(m.TotalAlloc)
		}
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// serveBerth is a berth server. It says where the site is, and the console.
func serveBerth(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench serve", flag.ContinueOnError)
	data := flags.String("data", "", "")
	profile := flags.String("cpuprofile", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := openBerth(ctx, *data)
	if err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer f.Close()
		defer pprof.StopCPUProfile()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	fmt.Println(s.SiteURL(), s.ConsoleURL())
	awaitEnd(ctx)
	cancel()
	return <-ended
}

func openBerth(ctx context.Context, data string) (*server.Server, error) {
	return server.Open(ctx, server.Startup{Data: data, Site: "127.0.0.1:0", Console: "127.0.0.1:0"}, server.Options{
		Log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Compiler: func(ctx context.Context) *exec.Cmd { return self(ctx, "compile-module") },
	})
}

// serveControl is net/http alone. It says where it answers as a berth site
// does, and where as plainly as one can.
func serveControl(ctx context.Context) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	alike := &http.Server{Handler: http.HandlerFunc(control), Protocols: protocols,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	bare := &http.Server{Handler: http.HandlerFunc(bareControl)}
	for _, srv := range []*http.Server{alike, bare} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer srv.Close()
		go func() { _ = srv.Serve(l) }()
		fmt.Printf("http://%s ", l.Addr())
	}
	fmt.Println()
	awaitEnd(ctx)
	return nil
}

// control is the work of a hello guest by net/http alone: the same answer with
// the same fields, in a server with the same settings. The request's ID costs
// it nothing, though: it is always the same.
func control(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("X-Request-Id", "ABCDEFGHIJKLMNOP")
	_, _ = io.WriteString(w, "hello "+r.RequestURI)
}

// bareControl gives the same body, as a program does that has no limits of
// time and names no requests.
func bareControl(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "hello "+r.RequestURI)
}
