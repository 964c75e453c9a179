package hostile

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/publish"
)

// upstreams are web servers that fail or lie, and publishers that do.
func (f *fixture) upstreams() []row {
	const host = "hostile.example/"
	install := func(pkg string) string { return f.install(f.upstream.URL + "/" + host + pkg) }
	indexOf := func(pkg string) string { return "/" + host + pkg + "/" + index.File }
	one := func(pkg, version string) published { return published{pkg: host + pkg, version: version} }
	// served lets the upstream answer for the index of a package.
	served := func(name, pkg string, answer http.HandlerFunc, want string) row {
		return row{name: name, want: want, do: func() string {
			f.upstream.handle(indexOf(pkg), answer)
			return install(pkg)
		}}
	}
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
	}
	// listed publishes one version with an index that edit has spoilt.
	listed := func(name, pkg string, edit func(*index.Index), want string) row {
		return row{name: name, want: want, do: func() string {
			f.publish(edit, one(pkg, "v1.0.0"))
			return install(pkg)
		}}
	}
	requires := func(pkg, version string) (string, map[string]manifest.Dependency) {
		return fmt.Sprintf("[dependencies]\nother = { package = %q, version = %q }\n", host+pkg, version),
			map[string]manifest.Dependency{"other": {Package: host + pkg, Version: version}}
	}
	needs := func(pkg, version, other, otherVersion string) published {
		p := one(pkg, version)
		p.manifest, p.requires = requires(other, otherVersion)
		return p
	}
	const otherHash = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	retracted := one("retracted", "v1.0.0")
	retracted.retracted = "it loses data"
	firstSigner, firstKey := f.key(host + "signed")
	otherSigner, otherKey := f.key(host + "signed")
	signed := func(version string, serial uint64, key string, signers ...note.Signer) {
		f.publishSigned(func(idx *index.Index) {
			idx.Serial = serial
			if key != "" {
				idx.Keys = []string{key}
			}
		}, signers, one("signed", version))
	}

	return []row{
		{name: "nothing there", do: func() string { return install("absent") }, want: "?"},
		served("gone", "gone", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusGone) }, "?"),
		served("asks to wait for long", "busy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}, "?"),
		served("asks for a password", "private", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you", http.StatusUnauthorized) }, "?"),
		served("always fails", "broken", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret stack trace", http.StatusInternalServerError)
		}, "?"),
		served("breaks off", "cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{"))
			panic(http.ErrAbortHandler)
		}, "?"),
		served("page instead of index", "page", body("<!doctype html><title>Welcome</title>"), "?"),
		served("empty index", "empty", body(""), "?"),
		served("deep index", "deep", body(`{"package":`+strings.Repeat("[", 1<<20)), "?"),
		served("index that is no index", "null", body(`{}`), "?"),
		served("index that ends early", "short", body(`{"package": "hostile.example/short", "serial": 1,`), "?"),
		served("two indexes in one", "two", body(`{"package":"hostile.example/two","serial":1}{}`), "?"),
		served("large index", "large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(index.MaxSize+1))
			_, _ = w.Write([]byte("{"))
		}, "?"),
		served("endless index", "endless", func(w http.ResponseWriter, r *http.Request) {
			for chunk := bytes.Repeat([]byte(" "), 64<<10); r.Context().Err() == nil; {
				_, _ = w.Write(chunk)
			}
		}, "?"),
		served("endless redirects", "loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "?"),
		served("redirect to this machine", "inward", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:2/api", http.StatusFound)
		}, "?"),
		served("redirect to the console", "console", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, f.console+"/api/v1/tokens", http.StatusFound)
		}, "?"),
		served("redirect to a file", "tofile", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}, "?"),
		{name: "page that names another's index", want: "?", do: func() string {
			f.upstream.file("/"+host+"meta", []byte(`<meta name="berth-package" content="baz.example/baz /x">`))
			return install("meta")
		}},
		served("index of another package", "thief", body(`{"package":"baz.example/baz","serial":1,"versions":[]}`), "?"),
		listed("no such version", "versions", nil, "?"),
		{name: "selector without version", want: "?", do: func() string { return install("versions@v7") }},
		{name: "retracted", want: "?", do: func() string { f.publish(nil, retracted); return install("retracted@v1.0.0") }},
		{name: "all retracted", want: "?", do: func() string { return install("retracted") }},
		listed("other SHA-256", "sha", func(idx *index.Index) { idx.Versions[0].SHA256 = strings.Repeat("00", 32) }, "?"),
		listed("other h1", "h1", func(idx *index.Index) { idx.Versions[0].H1 = otherHash }, "?"),
		listed("too large to fetch", "huge", func(idx *index.Index) { idx.Versions[0].Size = 1 << 40 }, "?"),
		listed("zip at a private address", "elsewhere", func(idx *index.Index) { idx.Versions[0].URL = "https://192.168.0.1/x.zip" }, "?"),
		listed("zip that is missing", "nozip", func(idx *index.Index) { idx.Versions[0].URL = "missing.zip" }, "?"),
		{name: "zip of another package", want: "?", do: func() string {
			other, zip := one("inner", "v1.0.0").entry(f)
			f.publish(func(idx *index.Index) { other.URL, idx.Versions[0] = "inner.zip", other }, one("outer", "v1.0.0"))
			f.upstream.file("/"+host+"outer/inner.zip", zip)
			return install("outer")
		}},
		{name: "manifest requires more than the index says", want: "?", do: func() string {
			f.publish(func(idx *index.Index) { idx.Versions[0].Requires = nil }, needs("sneaky", "v1.0.0", "versions", "v1.0.0"))
			return install("sneaky")
		}},
		{name: "dependency is missing", want: "?", do: func() string {
			f.publish(nil, needs("orphan", "v1.0.0", "absent", "v1.0.0"))
			return install("orphan")
		}},
		{name: "dependency has no such version", want: "?", do: func() string {
			f.publish(nil, needs("picky", "v1.0.0", "versions", "v1.9.0"))
			return install("picky")
		}},
		{name: "dependency cycle", want: "?", do: func() string {
			f.publish(nil, needs("hen", "v1.0.0", "egg", "v1.0.0"))
			f.publish(nil, needs("egg", "v1.0.0", "hen", "v1.0.0"))
			return install("hen")
		}},
		{name: "requires itself", want: "?", do: func() string {
			f.publish(nil, needs("snake", "v1.0.0", "snake", "v1.0.0"))
			return install("snake")
		}},
		{name: "zip by address that claims another name", want: "?", do: func() string {
			f.upstream.file("/files/x.zip", one("absent", "v1.0.0").zip(f))
			return f.install(f.upstream.URL + "/files/x.zip")
		}},
		{name: "module by address that is a page", want: "?", do: func() string {
			f.upstream.file("/files/x.wasm", []byte("<html>"))
			return f.install(f.upstream.URL + "/files/x.wasm")
		}},
		{name: "other bytes under a known version", want: "?",
			setup: func() {
				f.publish(nil, one("changed", "v1.0.0"))
				f.mustInstall(install("changed"))
			},
			do: func() string {
				other := one("changed", "v1.0.0")
				other.files = map[string]string{"evil.txt": "evil"}
				f.publish(func(idx *index.Index) { idx.Serial = 2 }, other)
				return install("changed")
			}},
		{name: "index that goes back", want: "?",
			setup: func() {
				f.publish(func(idx *index.Index) { idx.Serial = 9 }, one("old", "v1.0.0"))
				f.mustInstall(install("old"))
			},
			do: func() string {
				f.publish(func(idx *index.Index) { idx.Serial = 8 }, one("old", "v1.0.0"))
				return install("old")
			}},
		{name: "signature lost", want: "?",
			setup: func() {
				signed("v1.0.0", 1, firstKey, firstSigner)
				f.mustInstall(install("signed"))
			},
			do: func() string { signed("v1.1.0", 2, ""); return install("signed") }},
		{name: "signed by another", want: "?", do: func() string {
			signed("v1.1.0", 2, otherKey, otherSigner)
			return install("signed")
		}},
		served("changed after it was signed", "signed", func(w http.ResponseWriter, _ *http.Request) {
			b, err := (&index.Index{Package: host + "signed", Serial: 2, Keys: []string{firstKey}}).Marshal(firstSigner)
			if err != nil {
				f.Error(err)
			}
			_, _ = w.Write(bytes.Replace(b, []byte(`"serial": 2`), []byte(`"serial": 3`), 1))
		}, "?"),
		served("keys without signature", "keys", body(`{"package":"hostile.example/keys","serial":1,"keys":["x"]}`), "?"),
	}
}

func (f *fixture) mustInstall(result string) {
	f.Helper()
	if !strings.HasPrefix(result, "installed ") {
		f.Fatal(result)
	}
}

// key makes a signing key, whose signatures are by chance as the key is: its
// hash is replaced where texts are compared.
func (f *fixture) key(name string) (note.Signer, string) {
	signing, verifier, err := publish.GenerateKey(name)
	if err != nil {
		f.Fatal(err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(signing))
	if err != nil {
		f.Fatal(err)
	}
	return signer, strings.TrimSpace(verifier)
}
