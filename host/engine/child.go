package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// childLimits bound a process that compiles.
type childLimits struct {
	Memory uint64        // bytes of address space; 0 for no limit
	CPU    time.Duration // rounded up to seconds
	Wall   time.Duration
	File   uint64 // bytes of one file that it writes
}

// Most modules need a second and 200 MB; a Go program of 10 MB needs 3 seconds
// and less than 1 GB.
var defaultChildLimits = childLimits{
	Memory: 4 << 30,
	CPU:    2 * time.Minute,
	Wall:   3 * time.Minute,
	File:   1 << 30,
}

// A job is what a compiler is asked to do: one line of JSON on standard
// input. The module follows.
type job struct {
	Folder string // where the results go
	Limits childLimits
}

// An answer is what a compiler writes to standard output as JSON. The code is
// in the folder.
type answer struct {
	Refused []string `json:",omitempty"`
	Error   string   `json:",omitempty"`
	Facts   facts
}

// rewrittenName is the file of the rewritten module in a job's folder.
const rewrittenName = "rewritten.wasm"

// MaxModule is how long a module may be, in bytes.
const MaxModule = 64 << 20

// CompileMain is the main function of the child process in which a module is
// compiled: see [Options.Compiler]. It returns the exit code.
func CompileMain(stdin io.Reader, stdout, stderr io.Writer) int {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	var j job
	if err == nil {
		err = json.Unmarshal(line, &j)
	}
	if err == nil {
		err = limitSelf(j.Limits)
	}
	var module []byte
	if err == nil {
		module, err = io.ReadAll(io.LimitReader(in, MaxModule+1))
	}
	if err == nil {
		err = json.NewEncoder(stdout).Encode(j.run(module))
	}
	if err != nil {
		fmt.Fprintln(stderr, "compile:", err)
		return 1
	}
	return 0
}

func (j job) run(module []byte) answer {
	f, err := j.compile(context.Background(), module)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return answer{Refused: refused.Reasons}
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Facts: f}
}

func (j job) compile(ctx context.Context, module []byte) (facts, error) {
	rewritten, f, err := rewrite(module)
	if err != nil {
		return facts{}, err
	}
	if err := os.WriteFile(filepath.Join(j.Folder, rewrittenName), rewritten, 0o600); err != nil {
		return facts{}, err
	}
	rt, compiled, err := compile(ctx, j.Folder, rewritten)
	if err != nil {
		return facts{}, &RefusedError{Reasons: []string{"it is not valid WebAssembly: " + err.Error()}}
	}
	defer rt.Close(ctx)
	f.describe(compiled)
	return f, nil
}
