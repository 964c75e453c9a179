package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tetratelabs/wazero"
)

// runtimeOf returns what runs modules.
func (e *Engine) runtimeOf(interpreted bool) (wazero.Runtime, error) {
	if !interpreted {
		return e.runtime, nil
	}
	rt, err := e.interpreter()
	if err != nil {
		return nil, fmt.Errorf("starting the interpreter: %w", err)
	}
	return rt, nil
}

// Distrust makes [Engine.Load] return the module interpreted from now on, also
// after a restart: a compiler can be wrong about a module. The reason is for
// the owner. What is loaded stays as it is.
func (e *Engine) Distrust(hash, reason string) error {
	file := e.distrustPath(hash)
	if err := os.WriteFile(file+".new", []byte(reason), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// Distrusted returns why the machine code of a module is not used; "" if it is.
func (e *Engine) Distrusted(hash string) string {
	reason, err := os.ReadFile(e.distrustPath(hash))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil || len(reason) == 0:
		return "it did not pass the self-test"
	}
	return strings.ToValidUTF8(string(reason), "")
}

// Trust ends what [Engine.Distrust] began.
func (e *Engine) Trust(hash string) error {
	if err := os.Remove(e.distrustPath(hash)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (e *Engine) distrustPath(hash string) string {
	return filepath.Join(e.cache.dir, "modules", filepath.Base(hash)+".distrust")
}
