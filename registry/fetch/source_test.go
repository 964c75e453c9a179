package fetch

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/name"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		kind Kind
		want string // of String
	}{
		{"https://baz.example/baz", KindPackage, "https://baz.example/baz"},
		{"  baz.example/baz\n", KindPackage, "https://baz.example/baz"},
		{"HTTPS://Baz.Example:443/baz/", KindPackage, "https://baz.example/baz"},
		{"baz.example/baz@v2", KindPackage, "https://baz.example/baz@v2"},
		{"baz.example/baz@v2.5", KindPackage, "https://baz.example/baz@v2.5"},
		{"baz.example/baz@v2.5.1-rc.1", KindPackage, "https://baz.example/baz@v2.5.1-rc.1"},
		{"https://baz.example/baz@latest", KindPackage, "https://baz.example/baz"},
		{"https://baz.example/baz@v2/", KindPackage, "https://baz.example/baz@v2"},
		{"baz.example", KindPackage, "https://baz.example"},
		{"http://127.0.0.1:9000/foobar", KindPackage, "http://127.0.0.1:9000/foobar"},
		{"http://127.0.0.1:80/foobar", KindPackage, "http://127.0.0.1/foobar"},
		{"https://baz.example/baz/baz-v2.5.1.zip", KindZip, "https://baz.example/baz/baz-v2.5.1.zip"},
		{"https://baz.example/d?file=baz.zip", KindPackage, ""},
		{"https://cdn.example/baz.zip?token=1", KindZip, "https://cdn.example/baz.zip?token=1"},
		{"https://example.org/Hello.WASM", KindModule, "https://example.org/Hello.WASM"},
		{"https://github.com/o/r/releases/download/v1/r.zip", KindZip, "https://github.com/o/r/releases/download/v1/r.zip"},
	}
	for _, tt := range tests {
		s, err := Parse(tt.text)
		if tt.want == "" {
			if err == nil {
				t.Errorf("%q is accepted", tt.text)
			}
			continue
		}
		if err != nil || s.Kind != tt.kind || s.String() != tt.want {
			t.Errorf("%q: %d %s, %v", tt.text, s.Kind, s, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "nothing was given; paste an address such as https://baz.example/baz",
		"oci://ghcr.io/org/name:1.0":       "not supported yet: packages from OCI registries",
		"git://baz.example/baz.git":        "not supported yet: packages from git repositories; paste the address of a .zip or .wasm that is published",
		"git+https://baz.example/r":        `"git+https://baz.example/r" is not a web address`,
		"git+ssh://baz.example/r":          "not supported yet: packages from git repositories; paste the address of a .zip or .wasm that is published",
		"git@baz.example:o/r":              "not supported yet: packages from git repositories; paste the address of a .zip or .wasm that is published",
		"https://baz.example/r.git":        "not supported yet: packages from git repositories; paste the address of a .zip or .wasm that is published",
		"ftp://baz.example/baz.zip":        "not supported: FTP; paste an https address",
		"file:///etc/passwd":               "a file on the server's own disk: upload it, or give its path to berth install",
		"./baz.zip":                        `"./baz.zip" is a path: a file on the server's own disk: upload it, or give its path to berth install`,
		"/etc/passwd":                      `"/etc/passwd" is a path: a file on the server's own disk: upload it, or give its path to berth install`,
		"../baz":                           `"../baz" is a path: a file on the server's own disk: upload it, or give its path to berth install`,
		"javascript://alert(1)":            `"javascript://alert(1)" is not a web address`,
		"https://":                         `invalid name: "" names no package`,
		"https://:8080/baz":                `"https://:8080/baz" is not a web address`,
		"https://baz.example:x/baz":        `"https://baz.example:x/baz" is not a web address`,
		"https://eve:pw@baz.example/baz":   "an address with a user or password in it would be kept and shown",
		"https://baz.example/baz#top":      `"https://baz.example/baz#top" has a fragment (#…), which names no file`,
		"https://baz.example/baz?v=2":      "the address of a package has no ? in it",
		"https://baz.example/a/../baz":     `the path of "https://baz.example/a/../baz" is not clean`,
		"https://baz.example/a/%2e%2e/baz": `the path of "https://baz.example/a/%2e%2e/baz" is not clean`,
		"https://baz.example/a%2fb":        `the path of "https://baz.example/a%2fb" is not clean`,
		"https://baz.example//baz":         `the path of "https://baz.example//baz" is not clean`,
		"https://baz.example/baz\x00":      `"https://baz.example/baz\x00" is not a web address`,
		"https://baz.example/baz@2":        `invalid name: "2" selects no version: write latest, v2, v2.5 or v2.5.1`,
		"https://baz.example/baz@v2.5.1+b": `invalid name: "v2.5.1+b" selects no version: write latest, v2, v2.5 or v2.5.1`,
		"https://baz.example/baz.zip@v2":   "a file has no versions to select from: leave @v2 out",
		"https://github.com/o/r":           "a repository is not a package: paste the address of a .zip or .wasm among its releases",
		"https://baz.example/" + long:      "an address of 2020 bytes; the most is 2000",
	} {
		_, err := Parse(text)
		if !errors.Is(err, ErrSource) || err.Error() != "cannot fetch from there: "+want {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

var long = strings.Repeat("x", 2000)

func TestCheckOrigin(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:9000": "http://127.0.0.1:9000", "HTTP://Localhost:80/": "http://localhost", "https://[::1]:443": "https://[::1]",
		"127.0.0.1:9000": "", "http://": "", "http://:80": "", "ftp://x": "", "http://x/y": "", "http://u@x": "", "http://x?y": "", "http://x#y": "",
	} {
		if got, err := CheckOrigin(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestCheckMirror(t *testing.T) {
	for _, tt := range []struct{ prefix, base, want string }{
		{"baz.example", "https://mirror.example/packages", ""},
		{"baz.example/baz", "http://127.0.0.1:9000", ""},
		{"baz", "https://mirror.example", `invalid name: package path "baz": missing dot in first path element`},
		{"baz.example", "mirror.example", `cannot fetch from there: mirror of baz.example: "mirror.example" is not the address of a folder such as https://mirror.example/packages`},
		{"baz.example", "https://mirror.example@v2", `cannot fetch from there: mirror of baz.example: "https://mirror.example@v2" is not the address of a folder such as https://mirror.example/packages`},
		{"baz.example", "https://mirror.example/x.zip", `cannot fetch from there: mirror of baz.example: "https://mirror.example/x.zip" is not the address of a folder such as https://mirror.example/packages`},
		{"baz.example", "oci://mirror.example", "mirror of baz.example: cannot fetch from there: not supported yet: packages from OCI registries"},
	} {
		if err := CheckMirror(tt.prefix, tt.base); err == nil && tt.want != "" || err != nil && err.Error() != tt.want {
			t.Errorf("%s=%s: %v", tt.prefix, tt.base, err)
		}
	}
}

func TestMirrors(t *testing.T) {
	p := Policy{Mirrors: map[string]string{
		"baz.example":       "http://127.0.0.1:9000/p/",
		"baz.example/inner": "https://inner.example",
		"frob.example":      "http://127.0.0.1:9000/p/",
	}}
	for pkg, want := range map[string]string{
		"baz.example/baz":     "http://127.0.0.1:9000/p/baz.example/baz",
		"baz.example/Baz":     "http://127.0.0.1:9000/p/baz.example/!baz",
		"baz.example":         "http://127.0.0.1:9000/p/baz.example",
		"baz.example/inner":   "https://inner.example/baz.example/inner",
		"baz.example/inner/x": "https://inner.example/baz.example/inner/x",
		"baz.example/innerx":  "http://127.0.0.1:9000/p/baz.example/innerx",
		"baz.examplex/baz":    "https://baz.examplex/baz",
	} {
		base, err := p.Base(pkg)
		if err != nil || base.String() != want {
			t.Errorf("%s: %s, %v", pkg, base, err)
			continue
		}
		if got := p.PackageAt(base); got != pkg {
			t.Errorf("%s stands for %q, want %s", base, got, pkg)
		}
	}
	for address, want := range map[string]string{
		"https://baz.example/baz":                             "baz.example/baz", // its home still speaks for it
		"https://baz.example:443/baz":                         "baz.example/baz",
		"https://baz.example:8443/baz":                        "",
		"http://baz.example/baz":                              "",
		"https://baz.example/baz/../evil":                     "",
		"https://baz.example/baz%2fevil":                      "",
		"https://eve@baz.example/baz":                         "",
		"https://localhost/baz":                               "",
		"http://127.0.0.1:9000/p/other.example/x":             "",
		"http://127.0.0.1:9000/p/baz.example/inner":           "", // mirrored elsewhere
		"http://127.0.0.1:9000/baz.example/baz":               "",
		"http://127.0.0.1:9001/p/baz.example/baz":             "",
		"https://127.0.0.1:9000/p/baz.example/baz":            "",
		"http://127.0.0.1:9000/p/baz.example/baz/x/../../baz": "",
	} {
		if got := p.PackageAt(mustURL(t, address)); got != want {
			t.Errorf("%s stands for %q, want %q", address, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"https://baz.example/baz@v2", "baz.example", "http://[::1]:80/x.zip", "git@x:y", "https://a/%2e%2e/b", "https://a//b", "oci://x", "https://x/y.wasm?z"} {
		f.Add(seed)
	}
	p := Policy{Mirrors: map[string]string{"baz.example": "https://mirror.example/p"}}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrSource) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := Parse(s.String())
		if err != nil || again.String() != s.String() || again.Kind != s.Kind {
			t.Fatalf("%q became %q and then %q, %v", text, s, again, err)
		}
		if s.URL.User != nil || s.URL.Hostname() == "" || s.URL.Scheme != "https" && s.URL.Scheme != "http" || s.URL.Path != "" && path.Clean(s.URL.Path) != s.URL.Path {
			t.Fatalf("%q became %#v", text, s.URL)
		}
		if pkg := p.PackageAt(s.URL); pkg != "" && name.CheckPackage(pkg) != nil {
			t.Fatalf("%q stands for %q", text, pkg)
		}
	})
}
