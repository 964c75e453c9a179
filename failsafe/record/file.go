package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A record file is one line, "berth-record 1 KIND SHA256", then JSON of which
// that is the hash.
const magic = "berth-record 1"

// The kinds of record files, and how many bytes each may have. A crash record
// holds two tails, of which JSON doubles every byte at worst.
const (
	kindBoot  = "boot"
	kindCrash = "crash"

	maxBoot  = 64 << 10
	maxCrash = 4*MaxTail + 128<<10
)

// ErrDamaged is the error of a file that is no record: it was cut off,
// changed, or never was one.
var ErrDamaged = errors.New("no record")

func encode(kind string, v any) ([]byte, error) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body.Bytes())
	return append(fmt.Appendf(nil, "%s %s %s\n", magic, kind, hex.EncodeToString(sum[:])), body.Bytes()...), nil
}

// decode fills v from the bytes of a file. Its errors wrap ErrDamaged.
func decode(data []byte, kind string, v any) error {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok || !bytes.HasPrefix(head, []byte(magic+" ")) {
		return fmt.Errorf("it does not begin as a record does: %w", ErrDamaged)
	}
	sum := sha256.Sum256(body)
	if want := fmt.Sprintf("%s %s %x", magic, kind, sum); string(head) != want {
		return fmt.Errorf("its checksum is not that of a %s record with these bytes: %w", kind, ErrDamaged)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// read fills v from a file of at most max bytes.
func read(path string, max int64, kind string, v any) error {
	// Asked before it is opened: opening a pipe would wait for a writer.
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file but %s: %w", path, info.Mode().Type(), ErrDamaged)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return err
	}
	if int64(len(data)) > max {
		return fmt.Errorf("%s has more than %d bytes: %w", path, max, ErrDamaged)
	}
	if err := decode(data, kind, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// write replaces a file by another that is on the disk whole, or leaves it.
func write(path, kind string, v any) (err error) {
	data, err := encode(kind, v)
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, tempPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// From here on the new file is there: only its name may still get lost.
	_ = syncFolder(folder)
	return nil
}
