package publish

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// replace renames from to file, durably: whoever reads sees the old file or
// the new one, and after a power cut too.
func replace(from, file string) error {
	f, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	// A web server under another account must be able to read it.
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(from, file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeFile(file string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(file), ".berth-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already after the rename
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return replace(tmp.Name(), file)
}

// hasSHA256 reports whether file is there with the content of that hash.
func hasSHA256(file, hash string) (bool, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false, err
	}
	return hex.EncodeToString(h.Sum(nil)) == hash, nil
}

// pageMark tells a page that was written here from an author's own.
const pageMark = `<meta name="generator" content="berth">`

// writePage writes what a person sees at the package's URL, unless the author
// put a page of his own there.
func writePage(out string, p *Packed) error {
	file := filepath.Join(out, "index.html")
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && !bytes.Contains(old, []byte(pageMark)) {
		return nil
	}
	title := p.Manifest.Title
	if title == "" {
		title = p.ID.Package
	}
	return writeFile(file, fmt.Appendf(nil, `<!doctype html>
<html lang="en">
<meta charset="utf-8">
%[4]s
<meta name="berth-package" content="%[1]s">
<title>%[2]s</title>
<h1>%[2]s</h1>
<p>%[3]s</p>
<p>This is a package for berth. Install it by its URL: https://%[1]s</p>
</html>
`, html.EscapeString(p.ID.Package), html.EscapeString(title), html.EscapeString(p.Manifest.Description), pageMark))
}
