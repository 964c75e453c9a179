package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sync/singleflight"
)

// Prepare makes a module ready to be loaded: it is scanned, metered and
// compiled in a child process under limits, and its code is kept on disk. A
// module that is there already costs a read.
//
// A module that cannot run here is a [*RefusedError], whose text is for the
// owner. Any other error is about this machine, or a compiler that hit its
// limits.
func (e *Engine) Prepare(ctx context.Context, module []byte) (Shape, error) {
	hash := digestOf(module)
	r, err := e.prepare(ctx, hash, func(context.Context) ([]byte, error) { return module, nil })
	if err != nil {
		return Shape{}, err
	}
	return e.shape(r.Facts)
}

// prepare returns the record of a module, which it compiles if need be. Calls
// for the same module share the work.
func (e *Engine) prepare(ctx context.Context, hash digest, open func(context.Context) ([]byte, error)) (*record, error) {
	return share(ctx, &e.preparing, string(hash), func() (*record, error) {
		r, _, err := e.cache.read(hash)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			e.log.Warn("compiling again", "module", hash, "reason", err)
		}
		module, err := open(e.life)
		if err != nil {
			return nil, fmt.Errorf("opening the module %s: %w", hash, err)
		}
		if got := digestOf(module); got != hash {
			return nil, fmt.Errorf("the module %s has become %s", hash, got)
		}
		if err := e.compileInChild(e.life, hash, module); err != nil {
			return nil, err
		}
		return e.cache.readRecord(hash)
	})
}

// share does work once for all callers that want it at the same time. A
// caller that goes away leaves the others their result.
func share[T any](ctx context.Context, group *singleflight.Group, key string, work func() (T, error)) (T, error) {
	var none T
	select {
	case result := <-group.DoChan(key, func() (any, error) { return work() }):
		if result.Err != nil {
			return none, result.Err
		}
		return result.Val.(T), nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// maxAnswer bounds what is read from a compiler, in bytes.
const maxAnswer = 16 << 20

func (e *Engine) compileInChild(ctx context.Context, hash digest, module []byte) error {
	if len(module) > MaxModule {
		return &RefusedError{Reasons: []string{fmt.Sprintf("it is longer than %d MiB", MaxModule>>20)}}
	}
	select {
	case e.compiling <- struct{}{}:
		defer func() { <-e.compiling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	work, err := e.cache.workFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	a, err := e.runChild(ctx, job{Folder: work, Limits: e.child}, module)
	switch {
	case err != nil:
		return fmt.Errorf("compiling the module: %w", err)
	case len(a.Refused) > 0:
		return &RefusedError{Reasons: a.Refused}
	case a.Error != "":
		return fmt.Errorf("compiling the module: %s", a.Error)
	}
	return e.cache.adopt(hash, work, a.Facts)
}

func (e *Engine) runChild(ctx context.Context, j job, module []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, j.Limits.Wall)
	defer cancel()
	line, err := json.Marshal(j)
	if err != nil {
		return answer{}, err
	}
	var stdout, stderr bounded
	stdout.room, stderr.room = maxAnswer, 64<<10
	cmd := e.compiler(ctx)
	cmd.Stdin = io.MultiReader(bytes.NewReader(append(line, '\n')), bytes.NewReader(module))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			return answer{}, fmt.Errorf("the compiler took longer than %v and was stopped", j.Limits.Wall)
		}
		return answer{}, childError(err, stderr.String(), j.Limits)
	}
	var a answer
	if err := json.Unmarshal(stdout.Bytes(), &a); err != nil {
		return answer{}, fmt.Errorf("the compiler's answer cannot be read: %w", err)
	}
	return a, nil
}

// childError explains how a compiler died.
func childError(err error, stderr string, limits childLimits) error {
	first, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		return fmt.Errorf("the compiler did not start: %w", err)
	case strings.Contains(stderr, "out of memory") || strings.Contains(stderr, "cannot allocate memory"):
		return errors.New("the module needs more memory to compile than is allowed")
	case strings.HasPrefix(first, "SIGXCPU"), exit.UserTime()+exit.SystemTime() >= limits.CPU*9/10: // the kernel counts a little otherwise
		return errors.New("the module needs more processor time to compile than is allowed")
	case first == "":
		return fmt.Errorf("the compiler ended early: %v", exit)
	default:
		return fmt.Errorf("the compiler ended early: %v: %s", exit, first)
	}
}

// A bounded buffer takes what comes and keeps what it has room for.
type bounded struct {
	bytes.Buffer
	room int
}

func (b *bounded) Write(p []byte) (int, error) {
	keep := min(len(p), b.room-b.Len())
	b.Buffer.Write(p[:keep])
	return len(p), nil
}
