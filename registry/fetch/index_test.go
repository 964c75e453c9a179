package fetch

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/fetch/fetchtest"
	"github.com/berth-host/berth/registry/index"
)

const validIndex = `{"package": "baz.example/baz", "serial": 1, "updated": "2026-11-02T09:00:00Z", "versions": []}`

// TestIndex holds how the index of a package URL is found. SERVER stands for
// the server's address.
func TestIndex(t *testing.T) {
	tests := []struct {
		name, tree string
		want       string // "" for success, else the error
		requests   string
	}{
		{"below the URL", "-- baz/berth-index.json --\n" + validIndex, "", "[/baz/berth-index.json]"},
		{"named by the page", "-- baz/index.html --\n<!doctype html><title>Baz</title><meta charset=utf-8><meta name='berth-package' content=' baz.example/baz  /deep/i.json '>\n-- deep/i.json --\n" + validIndex, "",
			"[/baz/berth-index.json /baz /deep/i.json]"},
		{"a store that forbids what it doesn't have", "/baz/berth-index.json 403\n-- baz/index.html --\n<META NAME=berth-package CONTENT=\"baz.example/baz /deep/i.json\"/>\n-- deep/i.json --\n" + validIndex, "",
			"[/baz/berth-index.json /baz /deep/i.json]"},
		{"a site that answers a page for everything", "-- baz/berth-index.json --\n<!doctype html>\n-- baz/index.html --\n<meta name=berth-package content='baz.example/baz /deep/i.json'>\n-- deep/i.json --\n" + validIndex, "",
			"[/baz/berth-index.json /baz /deep/i.json]"},
		{"nothing", "", "there is no package at SERVER/baz: not found", "[/baz/berth-index.json /baz]"},
		{"a page of something else", "-- baz/index.html --\nhello\n", "there is no package at SERVER/baz: not found: neither a berth-index.json below it, nor a page that names one", "[/baz/berth-index.json /baz]"},
		{"a comment of a visitor", "-- baz/index.html --\n<body><meta name='berth-package' content='baz.example/baz /evil.json'>\n", "there is no package at SERVER/baz: not found: neither a berth-index.json below it, nor a page that names one", "[/baz/berth-index.json /baz]"},
		{"an unusable element", "-- baz/index.html --\n<meta name='berth-package' content='a b c'><meta name='berth-package' content='baz.example/baz http://u:p@x/'><meta name=berth-package>\n",
			"there is no package at SERVER/baz: not found: neither a berth-index.json below it, nor a page that names one", "[/baz/berth-index.json /baz]"},
		{"far down in a page", "-- baz/index.html --\n<!--" + strings.Repeat("x", MaxHTML) + "--><meta name=berth-package content='baz.example/baz /deep/i.json'>\n",
			"there is no package at SERVER/baz: not found: neither a berth-index.json below it, nor a page that names one", "[/baz/berth-index.json /baz]"},
		{"a page that names a private address", "-- baz/index.html --\n<meta name=berth-package content='baz.example/baz https://10.0.0.1/i.json'>\n",
			"the page at SERVER/baz names an index: fetch https://10.0.0.1/i.json: not allowed without your permission: 10.0.0.1 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://10.0.0.1", "[/baz/berth-index.json /baz]"},
		{"a page that names nothing", "-- baz/index.html --\n<meta name=berth-package content='baz.example/baz /nothing.json'>\n",
			"the page at SERVER/baz names an index: fetch SERVER/nothing.json: the server answered 404 Not Found", "[/baz/berth-index.json /baz /nothing.json]"},
		{"a page that names another package's index", "-- baz/index.html --\n<meta name=berth-package content='frob.example/frob /deep/i.json'>\n-- deep/i.json --\n" + validIndex,
			"the page at SERVER/baz says that SERVER/deep/i.json lists frob.example/frob: invalid index: it lists baz.example/baz", "[/baz/berth-index.json /baz /deep/i.json]"},
		{"no JSON", "-- baz/berth-index.json --\nhello\n", "SERVER/baz/berth-index.json: invalid index: neither JSON nor a signed note", "[/baz/berth-index.json]"},
		{"half an index", "-- baz/berth-index.json --\n{\"package\":\n", "SERVER/baz/berth-index.json: invalid index: unexpected EOF", "[/baz/berth-index.json]"},
		{"an endless index", "/baz/berth-index.json endless\n", "fetch SERVER/baz/berth-index.json: too large: more than 4194304 bytes", "[/baz/berth-index.json]"},
		{"an endless page", "/baz endless\n", "there is no package at SERVER/baz: not found: neither a berth-index.json below it, nor a page that names one", "[/baz/berth-index.json /baz]"},
		{"an index that fails is not absent", "/baz/berth-index.json 501\n", "fetch SERVER/baz/berth-index.json: the server answered 501 Not Implemented", "[/baz/berth-index.json]"},
		{"a page that fails", "/baz 501\n", "fetch SERVER/baz: the server answered 501 Not Implemented", "[/baz/berth-index.json /baz]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fetchtest.Start(t, tt.tree)
			found, err := allowing(t, s).Index(t.Context(), mustURL(t, s.URL+"/baz"), Condition{})
			if got := fmt.Sprint(s.Requests()); got != tt.requests {
				t.Errorf("requests %s, want %s", got, tt.requests)
			}
			if tt.want == "" {
				if err != nil || found.Index.Package != "baz.example/baz" || found.Signers != nil {
					t.Errorf("got %+v, %v", found, err)
				}
				return
			}
			if err == nil || strings.ReplaceAll(err.Error(), s.URL, "SERVER") != tt.want {
				t.Errorf("\ngot  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestIndexUnchanged(t *testing.T) {
	for _, tree := range []string{
		"-- baz/berth-index.json --\n" + validIndex,
		"-- baz/index.html --\n<meta name='berth-package' content='baz.example/baz /i.json'>\n-- i.json --\n" + validIndex,
	} {
		s := fetchtest.Start(t, tree)
		c := allowing(t, s)
		first, err := c.Index(t.Context(), mustURL(t, s.URL+"/baz"), Condition{})
		if err != nil || first.Unchanged {
			t.Fatalf("%+v, %v", first, err)
		}
		again, err := c.Index(t.Context(), mustURL(t, s.URL+"/baz"), first.Condition)
		if err != nil || !again.Unchanged || again.URL.String() != first.URL.String() {
			t.Errorf("%+v, %v", again, err)
		}
	}
}

// TestMetaAtHome has a page that names the package alone: its index is at home.
func TestMetaAtHome(t *testing.T) {
	pkg, target := findMeta([]byte(`<meta name="berth-package" content="baz.example/baz">`), mustURL(t, "https://baz.example/"))
	if pkg != "baz.example/baz" || target.String() != "https://baz.example/baz/"+index.File {
		t.Errorf("%s %s", pkg, target)
	}
}

func TestModule(t *testing.T) {
	s := fetchtest.Start(t, "")
	for content, want := range map[string]string{
		"\x00asm\x01\x00\x00\x00rest": "",
		"\x00asm\x0d\x00\x01\x00":     "not a WebAssembly module: it is a component (WASI preview 2), which is not supported yet; build it for wasip1",
		"\x00asm\x02\x00\x00\x00":     "not a WebAssembly module: it is of an unknown version of WebAssembly",
		"\x00asm":                     `not a WebAssembly module: it does not begin with \0asm`,
		"<!doctype html>":             `not a WebAssembly module: it does not begin with \0asm`,
	} {
		s.Write(t, "hello.wasm", []byte(content))
		_, err := allowing(t, s).Module(t.Context(), mustURL(t, s.URL+"/hello.wasm"), nil)
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrNotModule) || err.Error() != s.URL+"/hello.wasm: "+want) {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func FuzzFindMeta(f *testing.F) {
	f.Add([]byte(`<!doctype html><meta name="berth-package" content="baz.example/baz https://cdn.example/i.json">`))
	f.Add([]byte(`<meta name=berth-package content=baz.example/baz>`))
	f.Add([]byte(`<body><meta name=berth-package content="a b">`))
	f.Add([]byte(`<svg><meta name="berth-package" content="x //y"></svg>`))
	at := &url.URL{Scheme: "https", Host: "baz.example", Path: "/baz"}
	f.Fuzz(func(t *testing.T, page []byte) {
		_, target := findMeta(page, at)
		if target != nil && (target.Host == "" || target.User != nil || !target.IsAbs()) {
			t.Fatalf("%#v", target)
		}
	})
}
