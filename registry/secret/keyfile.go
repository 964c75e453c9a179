package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

var (
	// ErrNoKey says that there is no key file.
	ErrNoKey = errors.New("there is no secret key file")
	// ErrKeyFile says that the key file cannot be trusted or used: it is
	// readable by others, not a plain file, or not [KeySize] bytes long.
	ErrKeyFile = errors.New("the secret key file cannot be used")
)

// Create writes a new random key to the file path and returns its box. The file
// appears whole or not at all, readable by its owner only, and is durable when
// Create returns. An existing file is never replaced: [fs.ErrExist].
//
// Create belongs to the birth of a store. For a store that may hold secrets
// already, a missing key file is an error to be shown, because a new key opens none of them.
func Create(path string) (*Box, error) {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails
	box, err := New(key)
	if err != nil {
		return nil, err
	}
	if err := writeExclusive(path, key); err != nil {
		return nil, fmt.Errorf("creating secret key file: %w", err)
	}
	return box, nil
}

// Put writes a key that was kept elsewhere, as [Create] writes a new one.
func Put(path string, key []byte) error {
	if _, err := New(key); err != nil {
		return err
	}
	if err := writeExclusive(path, key); err != nil {
		return fmt.Errorf("putting the secret key file back: %w", err)
	}
	return nil
}

// writeExclusive makes a durable file of mode 0600 that appears with its whole
// content. Opening path itself with O_EXCL would leave a truncated key behind
// if the machine stopped before the write.
func writeExclusive(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".key-*") // O_EXCL and 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil { // fails if path exists
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be opened for writing there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load reads the key file path. Errors satisfy [ErrNoKey] or [ErrKeyFile].
func Load(path string) (*Box, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s: without it no stored secret can be read; put it back from your backup", ErrNoKey, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a plain file", ErrKeyFile, path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s may be read by others (mode %04o); set it to 0600 (chmod 600)", ErrKeyFile, path, info.Mode().Perm())
	}
	key, err := io.ReadAll(io.LimitReader(f, KeySize+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("%w: %s has %d bytes, want %d; put it back from your backup", ErrKeyFile, path, info.Size(), KeySize)
	}
	return New(key)
}
