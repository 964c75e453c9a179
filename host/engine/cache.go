package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tetratelabs/wazero"
)

// rewriteVersion changes whenever the rewriting of modules does: code made by
// another one is made again.
const rewriteVersion = "5"

// A cache keeps compiled modules on disk. For each there are three files:
//
//	modules/HASH.json   the record: what belongs to the module, with checksums
//	modules/HASH.wasm   the rewritten module
//	wazero-…/KEY        the machine code, where wazero looks for it
//
// wazero's own checksum leaves the functions' offsets out, and a wrong offset
// is executed. So nothing is handed to it that the record does not vouch for.
type cache struct {
	dir string
	// identity names what the machine code depends on beside the module: the
	// versions of wazero and of the rewriting, the system, and the processor.
	identity string
}

// A record tells how a module was compiled.
type record struct {
	Identity string
	Wasm     digest // of the rewritten module
	Native   string // path of the machine code below the cache folder; "" where wazero interprets
	Code     digest // of the machine code
	CodeSize int64  // bytes
	Facts    facts
}

// A digest is a SHA-256 in hexadecimal.
type digest string

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(hex.EncodeToString(sum[:]))
}

// errDamaged stands for an entry that cannot be used; making it again helps.
var errDamaged = errors.New("damaged or outdated")

func openCache(ctx context.Context, dir string) (*cache, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "modules"), 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	c := &cache{dir: dir}
	c.sweep()
	if c.identity, err = c.identify(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// workPrefix begins the names of folders in which compilers work.
const workPrefix = "compile-"

func (c *cache) workFolder() (string, error) { return os.MkdirTemp(c.dir, workPrefix) }

// sweep removes what compilers that were killed have left behind.
func (c *cache) sweep() {
	left, _ := filepath.Glob(filepath.Join(c.dir, workPrefix+"*"))
	for _, folder := range left {
		if info, err := os.Stat(folder); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.RemoveAll(folder) // tried again at the next start
		}
	}
}

// probe is a module with one empty function.
var probe = []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x04\x01\x02\x00\x0b")

// identify compiles the probe to learn the name that wazero gives to its
// code: it covers all that machine code depends on, and wazero does not tell
// it otherwise.
func (c *cache) identify(ctx context.Context) (string, error) {
	work, err := c.workFolder()
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	rt, _, err := compile(ctx, work, probe)
	if err != nil {
		return "", err
	}
	defer rt.Close(ctx)
	native, err := nativeFile(work)
	if err != nil {
		return "", err
	}
	return rewriteVersion + " " + filepath.ToSlash(native), nil
}

// compile compiles a rewritten module into a folder of wazero's. If there is
// no error, the caller closes the runtime.
func compile(ctx context.Context, dir string, module []byte) (wazero.Runtime, wazero.CompiledModule, error) {
	native, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, nil, err
	}
	rt := wazero.NewRuntimeWithConfig(ctx, runtimeConfig(native))
	compiled, err := rt.CompileModule(ctx, module)
	if err != nil {
		_ = rt.Close(ctx) // the error of the module counts
		return nil, nil, err
	}
	return rt, compiled, nil
}

// nativeFile finds the one file of machine code below dir, relative to it; ""
// if there is none.
func nativeFile(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*"))
	if err != nil || len(files) == 0 {
		return "", err
	}
	if len(files) > 1 {
		return "", fmt.Errorf("%d files of machine code instead of one", len(files))
	}
	return filepath.Rel(dir, files[0])
}

func (c *cache) recordPath(hash digest) string {
	return filepath.Join(c.dir, "modules", string(hash)+".json")
}

func (c *cache) wasmPath(hash digest) string {
	return filepath.Join(c.dir, "modules", string(hash)+".wasm")
}

// read returns the record and the rewritten module of an entry, with all
// checksums verified. A missing entry is [fs.ErrNotExist]; one that cannot be
// used is errDamaged, and is removed.
func (c *cache) read(hash digest) (*record, []byte, error) {
	r, err := c.readRecord(hash)
	if err == nil {
		var wasm []byte
		if wasm, err = os.ReadFile(c.wasmPath(hash)); err == nil && digestOf(wasm) == r.Wasm {
			if err = c.verifyNative(r); err == nil {
				return r, wasm, nil
			}
		}
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	c.remove(hash, r)
	if err == nil {
		err = errors.New("the rewritten module has another checksum")
	}
	return nil, nil, fmt.Errorf("%w: %w", errDamaged, err)
}

// readRecord reads a record: its checksum, a line feed, and JSON.
func (c *cache) readRecord(hash digest) (*record, error) {
	text, err := os.ReadFile(c.recordPath(hash))
	if err != nil {
		return nil, err
	}
	sum, body, _ := bytes.Cut(text, []byte{'\n'})
	if string(sum) != string(digestOf(body)) {
		return nil, errors.New("the record has another checksum")
	}
	r := new(record)
	if err := json.Unmarshal(body, r); err != nil {
		return nil, err
	}
	if r.Identity != c.identity {
		return nil, errors.New("it was compiled by another version, or for another processor")
	}
	return r, nil
}

func (c *cache) verifyNative(r *record) error {
	if r.Native == "" {
		return nil
	}
	f, err := os.Open(filepath.Join(c.dir, r.Native))
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if string(r.Code) != hex.EncodeToString(sum.Sum(nil)) {
		return errors.New("the machine code has another checksum")
	}
	return nil
}

// remove takes an entry out. r is its record as far as it could be read.
func (c *cache) remove(hash digest, r *record) {
	_ = os.Remove(c.recordPath(hash)) // without a record the rest counts for nothing
	_ = os.Remove(c.wasmPath(hash))
	if r != nil && r.Native != "" {
		_ = os.Remove(filepath.Join(c.dir, r.Native))
	}
}

// adopt makes an entry of what a compiler left in its work folder. The record
// comes last: what a crash leaves without one is never used.
func (c *cache) adopt(hash digest, work string, f facts) error {
	native, err := nativeFile(work)
	if err != nil {
		return err
	}
	wasm, err := os.ReadFile(filepath.Join(work, rewrittenName))
	if err != nil {
		return err
	}
	r := record{Identity: c.identity, Wasm: digestOf(wasm), Native: native, Facts: f}
	if native != "" {
		code, err := os.ReadFile(filepath.Join(work, native))
		if err != nil {
			return err
		}
		r.Code, r.CodeSize = digestOf(code), int64(len(code))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(c.dir, native)), 0o700); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(work, native), filepath.Join(c.dir, native)); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(work, rewrittenName), c.wasmPath(hash)); err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	draft := filepath.Join(work, "record")
	if err := os.WriteFile(draft, append([]byte(digestOf(body)+"\n"), body...), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, c.recordPath(hash))
}
