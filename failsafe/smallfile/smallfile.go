// Package smallfile reads and replaces the small files that a server must be
// able to read in every state: records, the password, the startup file. No
// file that anybody put in their place makes it wait or takes its memory. The
// package imports the standard library only.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// TempPrefix begins the names of files that a [Write] left behind when it was
// cut off.
const TempPrefix = ".new-"

// ErrOdd is the error of a file that is too large, or no file at all.
var ErrOdd = errors.New("no such file as it should be")

// Read returns what is in a file of at most max bytes. What is no regular
// file, a link too, is an error that wraps [ErrOdd].
func Read(path string, max int64) ([]byte, error) {
	// Asked before it is opened: opening a pipe would wait for a writer.
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	return read(path, info, max)
}

// Follow is [Read] for a file that somebody named on purpose, by a link if he
// likes.
func Follow(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return read(path, info, max)
}

func read(path string, info os.FileInfo, max int64) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, &oddError{fmt.Sprintf("%s is no file but %s", path, info.Mode().Type())}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, &oddError{fmt.Sprintf("%s has more than %d bytes", path, max)}
	}
	return data, nil
}

// Write replaces a file by another, readable by its user only, that is on the
// disk whole, or leaves it. It makes the folder when that isn't there.
func Write(path string, data []byte) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, TempPrefix+"*") // 0600
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

// An oddError says what is odd.
type oddError struct{ message string }

func (e *oddError) Error() string { return e.message }
func (e *oddError) Unwrap() error { return ErrOdd }
