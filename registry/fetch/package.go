package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/html"

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

// Base returns the address below which a package's index is looked for: that
// of the longest mirror prefix, else its own.
func (c *Client) Base(pkg string) (*url.URL, error) {
	longest := ""
	mirrors := c.policy().Mirrors
	for prefix := range mirrors {
		if (pkg == prefix || strings.HasPrefix(pkg, prefix+"/")) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	if longest == "" {
		return url.Parse("https://" + pkg)
	}
	base, err := url.Parse(strings.TrimSuffix(mirrors[longest], "/"))
	if err != nil {
		return nil, fmt.Errorf("mirror of %s: %w", longest, err)
	}
	return base.JoinPath(pkg), nil
}

// IndexOf fetches the index of a package by its name.
func (c *Client) IndexOf(ctx context.Context, pkg string, known Condition) (*IndexResult, error) {
	base, err := c.Base(pkg)
	if err != nil {
		return nil, err
	}
	result, err := c.IndexAt(ctx, base, known)
	if err != nil || result.Unchanged {
		return result, err
	}
	if result.Index.Package != pkg {
		return nil, fmt.Errorf("the index at %s lists %s, not %s", result.URL, result.Index.Package, pkg)
	}
	return result, nil
}

// IndexAt fetches the index below a package URL, or the one that the page
// there names: <meta name="berth-package" content="baz.example/baz https://…">.
func (c *Client) IndexAt(ctx context.Context, base *url.URL, known Condition) (*IndexResult, error) {
	u := base.JoinPath(index.File)
	result, err := c.Get(ctx, u, index.MaxSize, known, nil)
	if err == nil {
		return readIndex(result)
	}
	if !errors.Is(err, ErrNotFound) && !strings.Contains(err.Error(), "403") {
		return nil, err
	}
	page, pageErr := c.Get(ctx, base, MaxHTML, Condition{}, nil)
	if pageErr != nil {
		return nil, fmt.Errorf("there is no package at %s: %w", base, err)
	}
	pkg, target, ok := metaPackage(page.Body, page.URL)
	if !ok {
		return nil, fmt.Errorf("there is no package at %s: no %s below it, and its page names none", base, index.File)
	}
	if result, err = c.Get(ctx, target, index.MaxSize, known, nil); err != nil {
		return nil, err
	}
	found, err := readIndex(result)
	if err == nil && !found.Unchanged && found.Index.Package != pkg {
		return nil, fmt.Errorf("the page at %s says that %s lists %s; it lists %s", base, target, pkg, found.Index.Package)
	}
	return found, err
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

// metaPackage finds the element by which a page names a package and its index.
// The page must lie at or above the package: only then can it speak for it.
func metaPackage(page []byte, at *url.URL) (pkg string, target *url.URL, ok bool) {
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return "", nil, false
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if token.Data == "body" {
				return "", nil, false
			}
			if token.Data != "meta" || attribute(token, "name") != "berth-package" {
				continue
			}
			fields := strings.Fields(attribute(token, "content"))
			if len(fields) != 2 {
				continue
			}
			u, err := at.Parse(fields[1])
			page := Package(at)
			if err == nil && (fields[0] == page || strings.HasPrefix(fields[0], page+"/") || strings.HasPrefix(page, fields[0])) {
				return fields[0], u, true
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

// Module fetches a bare WebAssembly module.
func (c *Client) Module(ctx context.Context, u *url.URL, progress Progress) (*Result, error) {
	return c.Get(ctx, u, archive.MaxFile, Condition{}, progress)
}
