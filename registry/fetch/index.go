package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/index"
)

// An IndexResult is an index as it was found.
type IndexResult struct {
	Raw       []byte
	Index     *index.Index
	Signers   []string // verifier keys that signed it
	URL       *url.URL // of the index, to which addresses in it are relative
	Condition Condition
	Unchanged bool // everything but URL and Condition is empty
}

// Index fetches the index below a package URL, or the one that the page there
// names: <meta name="berth-package" content="baz.example/baz https://…">,
// where the address may be left out if it is the package's own.
// Which package it lists, and whether that address may speak for it, is for
// the caller to see.
func (c *Client) Index(ctx context.Context, base *url.URL, known Condition) (*IndexResult, error) {
	result, err := c.Get(ctx, base.JoinPath(index.File), index.MaxSize, known, nil)
	switch {
	case err == nil && !isPage(result.Body):
		return readIndex(result)
	case err != nil && !isAbsent(err):
		return nil, err
	}
	// Object stores answer 403 for what they don't have, and some sites
	// answer a page for everything.
	page, err := c.get(ctx, base, body{limit: MaxHTML, truncate: true}, Condition{})
	if err != nil {
		if isAbsent(err) {
			return nil, fmt.Errorf("there is no package at %s: %w", base, ErrNotFound)
		}
		return nil, err
	}
	pkg, target := findMeta(page.Body, page.URL)
	if target == nil {
		return nil, fmt.Errorf("there is no package at %s: %w: neither a %s below it, nor a page that names one", base, ErrNotFound, index.File)
	}
	if result, err = c.Get(ctx, target, index.MaxSize, known, nil); err != nil {
		return nil, fmt.Errorf("the page at %s names an index: %w", base, err)
	}
	found, err := readIndex(result)
	if err == nil && !found.Unchanged && found.Index.Package != pkg {
		return nil, fmt.Errorf("the page at %s says that %s lists %s: %w: it lists %s", base, target, pkg, index.ErrInvalid, found.Index.Package)
	}
	return found, err
}

func isPage(b []byte) bool { return bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n\ufeff"), []byte("<")) }

func isAbsent(err error) bool {
	e := (*StatusError)(nil)
	return errors.Is(err, ErrNotFound) || errors.As(err, &e) && e.Code == http.StatusForbidden
}

func readIndex(r *Result) (*IndexResult, error) {
	out := &IndexResult{Raw: r.Body, URL: r.URL, Condition: r.Condition, Unchanged: r.Unchanged}
	if r.Unchanged {
		return out, nil
	}
	var err error
	if out.Index, out.Signers, err = index.Read(r.Body); err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL, err)
	}
	return out, nil
}

// findMeta finds the element by which a page names a package and its index.
// target is nil when there is none.
func findMeta(page []byte, at *url.URL) (pkg string, target *url.URL) {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return "", nil
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if token.DataAtom == atom.Body {
				return "", nil // below it, anybody may have written it
			}
			if token.DataAtom != atom.Meta || attribute(token, "name") != "berth-package" {
				continue
			}
			fields := strings.Fields(attribute(token, "content"))
			if len(fields) == 1 { // the index is at home
				fields = append(fields, "https://"+fields[0]+"/"+index.File)
			}
			if len(fields) != 2 {
				continue
			}
			if u, err := at.Parse(fields[1]); err == nil && u.User == nil && u.Host != "" {
				return fields[0], u
			}
		}
	}
}

func attribute(t html.Token, key string) string {
	for _, a := range t.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

// Zip fetches a package zip.
func (c *Client) Zip(ctx context.Context, u *url.URL, progress Progress) (*Result, error) {
	return c.Get(ctx, u, archive.MaxZip, Condition{}, progress)
}

// ErrNotModule says that bytes are not a core WebAssembly module.
var ErrNotModule = errors.New("not a WebAssembly module")

// Module fetches a bare WebAssembly module.
func (c *Client) Module(ctx context.Context, u *url.URL, progress Progress) (*Result, error) {
	result, err := c.Get(ctx, u, archive.MaxFile, Condition{}, progress)
	if err != nil {
		return nil, err
	}
	if err := CheckModule(result.Body); err != nil {
		return nil, fmt.Errorf("%s: %w", u, err)
	}
	return result, nil
}

// CheckModule looks at the first bytes of what should be a module, so that
// what it is instead can be said (WebAssembly core specification, section
// 5.5.16; the component model's binary format uses layer 1).
func CheckModule(b []byte) error {
	switch {
	case len(b) < 8 || string(b[:4]) != "\x00asm":
		return fmt.Errorf("%w: it does not begin with \\0asm", ErrNotModule)
	case b[6] == 1 && b[7] == 0:
		return fmt.Errorf("%w: it is a component (WASI preview 2), which is not supported yet; build it for wasip1", ErrNotModule)
	case string(b[4:8]) != "\x01\x00\x00\x00":
		return fmt.Errorf("%w: it is of an unknown version of WebAssembly", ErrNotModule)
	}
	return nil
}
