package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/berth-host/berth/failsafe/smallfile"
)

// A record file is one line, "berth-record 1 KIND SHA256", then JSON of which
// that is the hash.
const magic = "berth-record 1"

// The kinds of record files, and how many bytes each may have. A crash record
// holds two tails, of which JSON doubles every byte at worst.
const (
	kindBoot  = "boot"
	kindCrash = "crash"
	kindDoor  = "door"

	maxBoot  = 64 << 10
	maxDoor  = 1 << 20
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
	data, err := smallfile.Read(path, max)
	if errors.Is(err, smallfile.ErrOdd) {
		return fmt.Errorf("%w: %w", err, ErrDamaged)
	}
	if err != nil {
		return err
	}
	if err := decode(data, kind, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// write replaces a file by another that is on the disk whole, or leaves it.
func write(path, kind string, v any) error {
	data, err := encode(kind, v)
	if err != nil {
		return err
	}
	return smallfile.Write(path, data)
}
