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
			map[string]manifest.Dependency{"other": {Package: host + pkg, Version: version, Policy: "patch"}}
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
		{name: "nothing there", do: func() string { return install("absent") }, want: "fetch_failed: there is no package at UPSTREAM/hostile.example/absent: not found"},
		served("gone", "gone", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusGone) }, "fetch_failed: there is no package at UPSTREAM/hostile.example/gone: not found"),
		served("asks to wait for long", "busy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			http.Error(w, "busy", http.StatusServiceUnavailable)
		}, "failed: fetch UPSTREAM/hostile.example/busy/berth-index.json: the server answered 503 Service Unavailable, and asks to come back in 1h0m0s"),
		served("asks for a password", "private", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you", http.StatusUnauthorized) }, "failed: fetch UPSTREAM/hostile.example/private/berth-index.json: the server answered 401 Unauthorized"),
		served("always fails", "broken", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "secret stack trace", http.StatusInternalServerError)
		}, "failed: fetch UPSTREAM/hostile.example/broken/berth-index.json: the server answered 500 Internal Server Error"),
		served("breaks off", "cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{"))
			panic(http.ErrAbortHandler)
		}, "failed: fetch UPSTREAM/hostile.example/cut/berth-index.json: the server hung up without an answer"),
		served("page instead of index", "page", body("<!doctype html><title>Welcome</title>"), "fetch_failed: there is no package at UPSTREAM/hostile.example/page: not found"),
		served("empty index", "empty", body(""), "bad_index: UPSTREAM/hostile.example/empty/berth-index.json: invalid index: neither JSON nor a signed note"),
		served("deep index", "deep", body(`{"package":`+strings.Repeat("[", 1<<20)), "bad_index: UPSTREAM/hostile.example/deep/berth-index.json: invalid index: invalid character '[' exceeded max depth"),
		served("index that is no index", "null", body(`{}`), `bad_index: UPSTREAM/hostile.example/null/berth-index.json: invalid index: invalid name: package path "": empty string`),
		served("index that ends early", "short", body(`{"package": "hostile.example/short", "serial": 1,`), "bad_index: UPSTREAM/hostile.example/short/berth-index.json: invalid index: unexpected EOF"),
		served("two indexes in one", "two", body(`{"package":"hostile.example/two","serial":1}{}`), "bad_index: UPSTREAM/hostile.example/two/berth-index.json: invalid index: it goes on after its JSON value"),
		served("large index", "large", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(index.MaxSize+1))
			_, _ = w.Write([]byte("{"))
		}, "too_large: fetch UPSTREAM/hostile.example/large/berth-index.json: too large: 4194305 bytes; the most is 4194304"),
		served("endless index", "endless", func(w http.ResponseWriter, r *http.Request) {
			for chunk := bytes.Repeat([]byte(" "), 64<<10); r.Context().Err() == nil; {
				_, _ = w.Write(chunk)
			}
		}, "too_large: fetch UPSTREAM/hostile.example/endless/berth-index.json: too large: more than 4194304 bytes"),
		served("endless redirects", "loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "not_allowed: fetch UPSTREAM/hostile.example/loop/berth-index.json: not allowed: more than 5 redirects"),
		served("redirect to this machine", "inward", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:2/api", http.StatusFound)
		}, "not_allowed: fetch UPSTREAM/hostile.example/inward/berth-index.json: not allowed without your permission: https://127.0.0.1:2 has a port of its own.\nIf that server is yours, allow it: berth settings --allow https://127.0.0.1:2"),
		served("redirect to the console", "console", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, f.console+"/api/v1/tokens", http.StatusFound)
		}, "not_allowed: fetch UPSTREAM/hostile.example/console/berth-index.json: not allowed without your permission: CONSOLE is not https.\nIf that server is yours, allow it: berth settings --allow CONSOLE"),
		served("redirect to a file", "tofile", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		}, "not_allowed: fetch UPSTREAM/hostile.example/tofile/berth-index.json: not allowed without your permission: file:// is not https.\nIf that server is yours, allow it: berth settings --allow file://"),
		{name: "page that names another's index", want: "fetch_failed: the page at UPSTREAM/hostile.example/meta names an index: fetch UPSTREAM/x: the server answered 404 Not Found", do: func() string {
			f.upstream.file("/"+host+"meta", []byte(`<meta name="berth-package" content="baz.example/baz /x">`))
			return install("meta")
		}},
		served("index of another package", "thief", body(`{"package":"baz.example/baz","serial":1,"versions":[]}`), "not_its_publisher: another package's name: UPSTREAM/hostile.example/thief says that it is baz.example/baz, whose home is https://baz.example/baz.\nInstall it from there. If you trust this place to have it too, make it a mirror: berth settings --mirror baz.example/baz=BASE-URL, below which it lies at baz.example/baz"),
		{name: "selector without version", want: "no_version: hostile.example/versions has no such version: v7; published are v1.0.0", setup: func() { f.publish(nil, one("versions", "v1.0.0")) }, do: func() string { return install("versions@v7") }},
		{name: "retracted", want: "no_version: hostile.example/retracted@v1.0.0 was retracted by its publisher: it loses data: no such version", do: func() string { f.publish(nil, retracted); return install("retracted@v1.0.0") }},
		{name: "all retracted", want: "no_version: hostile.example/retracted has no such version: latest; published are v1.0.0 (retracted: it loses data)", do: func() string { return install("retracted") }},
		listed("other SHA-256", "sha", func(idx *index.Index) { idx.Versions[0].SHA256 = strings.Repeat("00", 32) }, "bad_file: hostile.example/sha@v1.0.0: the file is not what its index says: UPSTREAM/hostile.example/sha/v1.0.0.zip has SHA-256 d9711b6a7efa9a5f21230aa7500b66cdcf94deba9ec310d1131d01b3a9f15cb6, and the index says 0000000000000000000000000000000000000000000000000000000000000000; it was damaged on its way, or replaced"),
		listed("other h1", "h1", func(idx *index.Index) { idx.Versions[0].H1 = otherHash }, "bad_file: hostile.example/h1@v1.0.0: the file is not what its index says: its zip has hash h1:VfkKjgZyEBnQ2XZrkX6FcN52N8rzABh/9D5k+i9YyLY=, and the index says h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
		listed("too large to fetch", "huge", func(idx *index.Index) { idx.Versions[0].Size = 1 << 40 }, "too_large: hostile.example/huge@v1.0.0: too large: the zip has 1099511627776 bytes; the most is 67108864"),
		listed("zip at a private address", "elsewhere", func(idx *index.Index) { idx.Versions[0].URL = "https://192.168.0.1/x.zip" }, "not_allowed: hostile.example/elsewhere@v1.0.0: fetch https://192.168.0.1/x.zip: not allowed without your permission: 192.168.0.1 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://192.168.0.1"),
		listed("zip that is missing", "nozip", func(idx *index.Index) { idx.Versions[0].URL = "missing.zip" }, "fetch_failed: hostile.example/nozip@v1.0.0: fetch UPSTREAM/hostile.example/nozip/missing.zip: the server answered 404 Not Found"),
		{name: "zip of another package", want: "bad_file: hostile.example/outer@v1.0.0: the file is not what its index says: its zip holds hostile.example/inner@v1.0.0", do: func() string {
			other, zip := one("inner", "v1.0.0").entry(f)
			other.URL = "inner.zip"
			f.publish(func(idx *index.Index) { idx.Versions[0] = other }, one("outer", "v1.0.0"))
			f.upstream.file("/"+host+"outer/inner.zip", zip)
			return install("outer")
		}},
		{name: "manifest requires more than the index says", want: "bad_file: hostile.example/sneaky@v1.0.0: the file is not what its index says: its manifest requires other packages", do: func() string {
			f.publish(func(idx *index.Index) { idx.Versions[0].Requires = nil }, needs("sneaky", "v1.0.0", "versions", "v1.0.0"))
			return install("sneaky")
		}},
		{name: "dependency is missing", want: "fetch_failed: hostile.example/orphan@v1.0.0 needs hostile.example/absent: there is no package at UPSTREAM/hostile.example/absent: not found", do: func() string {
			f.publish(nil, needs("orphan", "v1.0.0", "absent", "v1.0.0"))
			return install("orphan")
		}},
		{name: "dependency has no such version", want: "unresolved: hostile.example/picky@v1.0.0 requires hostile.example/versions of at least v1.9.0 (patch): no version fits; published are v1.0.0", do: func() string {
			f.publish(nil, needs("picky", "v1.0.0", "versions", "v1.9.0"))
			return install("picky")
		}},
		{name: "dependency cycle", want: "unresolved: dependency cycle: hostile.example/hen@v1.0.0 -> hostile.example/egg@v1.0.0 -> hostile.example/hen@v1.0.0", do: func() string {
			f.publish(nil, needs("hen", "v1.0.0", "egg", "v1.0.0"))
			f.publish(nil, needs("egg", "v1.0.0", "hen", "v1.0.0"))
			return install("hen")
		}},
		{name: "requires itself", want: "unresolved: dependency cycle: hostile.example/snake@v1.0.0 -> hostile.example/snake@v1.0.0", do: func() string {
			f.publish(nil, needs("snake", "v1.0.0", "snake", "v1.0.0"))
			return install("snake")
		}},
		{name: "zip by address that claims another name", want: "not_its_publisher: another package's name: UPSTREAM/files/x.zip says that it is hostile.example/absent@v1.0.0, which nobody else confirms (there is no package at UPSTREAM/hostile.example/absent: not found).\nInstall https://hostile.example/absent instead. If you trust this file, download it and upload it yourself", do: func() string {
			f.upstream.file("/files/x.zip", one("absent", "v1.0.0").zip(f))
			return f.install(f.upstream.URL + "/files/x.zip")
		}},
		{name: "module by address that is a page", want: "not_a_module: UPSTREAM/files/x.wasm: not a WebAssembly module: it does not begin with \\0asm", do: func() string {
			f.upstream.file("/files/x.wasm", []byte("<html>"))
			return f.install(f.upstream.URL + "/files/x.wasm")
		}},
		{name: "other bytes under a known version", want: "security: SECURITY: hostile.example/changed@v1.0.0 has other bytes than before.\nThis server knows it as h1:QfQHoK7/a+saDfqkLCp0d+1rqvVfDhhH2fF5ddjhVa4= (from UPSTREAM/hostile.example/changed/v1.0.0.zip) and now got h1:mvQDTU7ok4RwnlLJ4PY8V37RZosWLwZdEkoznY2HZfw=.\nPublished versions never change: someone replaced the file, or the publisher made a mistake.\nNothing was changed: what is installed stays and goes on running. Ask the publisher to publish a new version.",
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
		{name: "index that goes back", want: "security: SECURITY: the index of hostile.example/old cannot be trusted.\nIt went back from serial 9 to 8: someone serves an old list, which may hide fixes and retractions.\nNothing was changed: what is installed stays and goes on running.\nTry again later. If it stays so, ask the publisher whether his files were restored from a copy; he then publishes with a higher serial.",
			setup: func() {
				f.publish(func(idx *index.Index) { idx.Serial = 9 }, one("old", "v1.0.0"))
				f.mustInstall(install("old"))
			},
			do: func() string {
				f.publish(func(idx *index.Index) { idx.Serial = 8 }, one("old", "v1.0.0"))
				return install("old")
			}},
		{name: "signature lost", want: "security: SECURITY: the index of hostile.example/signed cannot be trusted.\nIt was signed before and is not any more.\nNothing was changed: what is installed stays and goes on running.\nAsk the publisher. Until he signs again with hostile.example/signedVARIABLE, updates of this package stay off.",
			setup: func() {
				signed("v1.0.0", 1, firstKey, firstSigner)
				f.mustInstall(install("signed"))
			},
			do: func() string { signed("v1.1.0", 2, ""); return install("signed") }},
		{name: "signed by another", want: "security: SECURITY: the index of hostile.example/signed cannot be trusted.\nIt is signed by hostile.example/signedVARIABLE, and not by hostile.example/signedVARIABLE as before. Its server or its domain may be in other hands.\nNothing was changed: what is installed stays and goes on running.\nAsk the publisher by another way than his web site. A publisher who changes his key signs with both for a while.", do: func() string {
			signed("v1.1.0", 2, otherKey, otherSigner)
			return install("signed")
		}},
		served("changed after it was signed", "signed", func(w http.ResponseWriter, _ *http.Request) {
			b, err := (&index.Index{Package: host + "signed", Serial: 2, Keys: []string{firstKey}}).Marshal(firstSigner)
			if err != nil {
				f.Error(err)
			}
			_, _ = w.Write(bytes.Replace(b, []byte(`"serial": 2`), []byte(`"serial": 3`), 1))
		}, "bad_index: UPSTREAM/hostile.example/signed/berth-index.json: invalid index: invalid signature for key hostile.example/signedVARIABLE: it was changed after it was signed"),
		served("keys without signature", "keys", body(`{"package":"hostile.example/keys","serial":1,"keys":["x"]}`), `bad_index: UPSTREAM/hostile.example/keys/berth-index.json: invalid index: key "x": malformed verifier id`),
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
