package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A Door is how a server is reached by HTTPS. The running server keeps it, so
// that failsafe mode answers at the same address without knowing the store.
// Its file is as secret as the certificates' own.
type Door struct {
	Address      string        `json:"address"`           // where HTTPS is listened for, host:port
	Console      string        `json:"console,omitempty"` // host name of the console; "" for none
	Certificates []Certificate `json:"certificates"`
}

// A Certificate is one with its key.
type Certificate struct {
	Name  string   `json:"name"`  // host name for which it is used
	Chain [][]byte `json:"chain"` // in DER, the leaf first
	Key   []byte   `json:"key"`   // PKCS #8 in DER
}

const doorName = "door.record"

// Door returns how the server was reached by HTTPS. The errors are as those of
// [Folder.Boot].
func (f Folder) Door() (Door, error) {
	var d Door
	if err := read(filepath.Join(f.path, doorName), maxDoor, kindDoor, &d); err != nil {
		return Door{}, fmt.Errorf("record of HTTPS: %w", err)
	}
	return d, nil
}

// SetDoor keeps how the server is reached by HTTPS; one without certificates
// is forgotten.
func (f Folder) SetDoor(d Door) error {
	path := filepath.Join(f.path, doorName)
	if len(d.Certificates) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forgetting the record of HTTPS: %w", err)
		}
		return nil
	}
	if err := write(path, kindDoor, d); err != nil {
		return fmt.Errorf("writing the record of HTTPS: %w", err)
	}
	return nil
}
