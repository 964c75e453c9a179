package hostile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"

	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/modules"
	"github.com/berth-host/berth/registry/archive"
)

type entry struct {
	name, body string
	mode       fs.FileMode
	declared   uint64 // size that it says it unpacks to
}

func (f *fixture) makeZip(entries ...entry) []byte {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		create := w.CreateHeader
		if e.body == "" {
			h.Method, h.UncompressedSize64, create = zip.Store, e.declared, w.CreateRaw
		}
		part, err := create(h)
		if err == nil {
			_, err = part.Write([]byte(e.body))
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	return buf.Bytes()
}

// uploads are zips and modules that an owner was made to upload.
func (f *fixture) uploads() []row {
	const prefix = "hostile.example/up@v1.0.0/"
	const identity = "package = \"hostile.example/up\"\nversion = \"v1.0.0\"\n"
	toml := entry{name: prefix + "berth.toml", body: identity}
	with := func(entries ...entry) []byte { return f.makeZip(append([]entry{toml}, entries...)...) }
	manifest := func(lines string, entries ...entry) []byte {
		return f.makeZip(append([]entry{{name: prefix + "berth.toml", body: identity + lines}}, entries...)...)
	}
	var many, bomb []entry
	for i := range archive.MaxEntries {
		many = append(many, entry{name: fmt.Sprintf("%sf%d", prefix, i)})
	}
	for i := range 5 {
		bomb = append(bomb, entry{name: fmt.Sprintf("%sbomb%d", prefix, i), declared: archive.MaxFile})
	}
	whole := with(entry{name: prefix + "a", body: "hello"})
	hello, err := modules.FS.ReadFile("hello-c/hello.wasm")
	if err != nil {
		f.Fatal(err)
	}
	locals := join([]byte{1}, binary.AppendUvarint(nil, 4_000_000_000), []byte{0x7f, 0x0b})
	const httpWasm = "[handler]\nmodule = \"m.wasm\"\nabi = \"http-wasm\"\n"

	var rows []row
	for _, x := range []struct {
		name, file string
		content    []byte
		want       string
	}{
		{"nothing", "a.zip", nil, "bad_package: invalid package: 0 bytes are no zip"},
		{"page", "a.zip", []byte("<html>" + strings.Repeat(" ", 100)), "bad_package: invalid package: it does not end as a zip does: it was cut off, or something follows it"},
		{"text with another ending", "a.exe", []byte("MZ"), "bad_package: invalid package: 2 bytes are no zip"},
		{"empty zip", "a.zip", f.makeZip(), "bad_package: invalid package: it has no entries"},
		{"cut short", "a.zip", whole[:len(whole)-8], "bad_package: invalid package: it does not end as a zip does: it was cut off, or something follows it"},
		{"two zips in one", "a.zip", join(whole, whole), "bad_package: invalid package: its directory is not where it says"},
		{"no prefix", "a.zip", f.makeZip(entry{name: "berth.toml", body: identity}), `bad_package: invalid package: entry "berth.toml" does not begin with package@version/`},
		{"up and out", "a.zip", with(entry{name: prefix + "../../../etc/passwd", body: "x"}), `bad_package: invalid package: "../../../etc/passwd": invalid path element ".."`},
		{"absolute", "a.zip", with(entry{name: "/etc/passwd", body: "x"}), `bad_package: invalid package: "/etc/passwd": does not begin with hostile.example/up@v1.0.0/ as the first entry does`},
		{"link", "a.zip", with(entry{name: prefix + "a", body: "/etc/passwd", mode: fs.ModeSymlink | 0o777}), `bad_package: invalid package: "a": file is a symbolic link`},
		{"same but for case", "a.zip", with(entry{name: prefix + "Berth.toml", body: "x"}), `bad_package: invalid package: "Berth.toml": case-insensitive file name collision: "berth.toml" and "Berth.toml"`},
		{"device name", "a.zip", with(entry{name: prefix + "CON", body: "x"}), `bad_package: invalid package: "CON": "CON" disallowed as path element component on Windows`},
		{"control characters in a name", "a.zip", with(entry{name: prefix + "\x1b[2J", body: "x"}), "bad_package: invalid package: \"\\x1b[2J\": invalid char '\\x1b'"},
		{"too many entries", "a.zip", with(many...), "bad_package: invalid package: it has more than 10000 entries"},
		{"bomb", "a.zip", with(bomb...), `bad_package: invalid package: ".": all files together have 335544370 bytes; the most is 268435456`},
		{"no manifest", "a.zip", f.makeZip(entry{name: prefix + "a", body: "x"}), "bad_package: invalid package: there is no berth.toml at the root of the package"},
		{"other identity", "a.zip", f.makeZip(entry{name: "hostile.example/other@v1.0.0/berth.toml", body: identity}), "bad_package: invalid package: its entries say that it is hostile.example/other@v1.0.0, its berth.toml says that it is hostile.example/up@v1.0.0"},
		{"unknown key", "a.zip", manifest("titel = \"x\"\n"), `bad_package: invalid package: berth.toml:3: unknown key "titel" (did you mean "title"?)`},
		{"manifest that is no TOML", "a.zip", manifest("= = =\n"), "bad_package: invalid package: berth.toml:3: invalid character at start of key: U+003D '='"},
		{"control characters in a title", "a.zip", manifest("title = \"\\u001b[2J\"\n"), "bad_package: invalid package: berth.toml:3: title: has control characters"},
		{"module that is missing", "a.zip", manifest(httpWasm), `bad_package: invalid package: berth.toml:4: handler.module: there is no file "m.wasm" in the package`},
		{"module above the package", "a.zip", manifest(strings.Replace(httpWasm, "m.wasm", "../m.wasm", 1)), `bad_package: invalid package: berth.toml:4: handler.module: "../m.wasm" is not a path in the package`},
		{"unknown ABI", "a.zip", manifest("[handler]\nmodule = \"m.wasm\"\nabi = \"java\"\n", entry{name: prefix + "m.wasm", body: string(hello)}), `bad_package: invalid package: berth.toml:5: handler.abi: "java" is not known: write http-wasm or cgi`},
		{"schema that is no schema", "a.zip", manifest("[config]\ntype = 7\n"), `bad_package: invalid package: berth.toml:3: config: configuration schema: type is 7, must be "object"`},
		{"schema that points out", "a.zip", manifest("[config]\n\"$ref\" = \"file:///etc/passwd\"\n"), `bad_package: invalid package: berth.toml:3: config: configuration schema: failing loading "file:///etc/passwd": refers to file:///etc/passwd: only references within the schema (#/…) are allowed`},
		{"module in a zip that is text", "a.zip", manifest(httpWasm, entry{name: prefix + "m.wasm", body: "echo"}), "module_refused: hostile.example/up@v1.0.0: module m.wasm: the module is refused: it is not a WebAssembly module"},

		{"module: nothing", "a.wasm", nil, "not_a_module: a.wasm: not a WebAssembly module: it does not begin with \\0asm"},
		{"module: text", "a.wasm", []byte("#!/bin/sh\n"), "not_a_module: a.wasm: not a WebAssembly module: it does not begin with \\0asm"},
		{"module: component", "a.wasm", []byte("\x00asm\x0d\x00\x01\x00"), "not_a_module: a.wasm: not a WebAssembly module: it is a component (WASI preview 2), which is not supported yet; build it for wasip1"},
		{"module: later version", "a.wasm", []byte("\x00asm\x02\x00\x00\x00"), "not_a_module: a.wasm: not a WebAssembly module: it is of an unknown version of WebAssembly"},
		{"module: cut short", "a.wasm", hello[:len(hello)/2], "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: section at 1707: it ends too early"},
		{"module: without entry", "a.wasm", module(), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: it exports neither handle_request (http-wasm) nor _start (a WASI command for CGI)"},
		{"module: wrong signature", "a.wasm", module(types, section(3, []byte{0}, []byte{2}),
			section(7, join(text("handle_request"), []byte{0, 0}), join(text("handle_response"), []byte{0, 1})), section(10, code(""), code(""))), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: it exports handle_request as () -> (), but in the dialect http-wasm that is () -> (i64)"},
		{"module: unknown import", "a.wasm", module(types, section(2, join(text("env"), text("system"), []byte{0, 0})),
			section(7, join(text("_start"), []byte{0, 0}))), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: it imports the function env.system, which this server does not offer"},
		{"module: known import with another signature", "a.wasm", module(types, section(2, join(text("wasi_snapshot_preview1"), text("fd_write"), []byte{0, 0})),
			section(7, join(text("_start"), []byte{0, 0}))), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: it imports wasi_snapshot_preview1.fd_write as () -> (), but that function is (i32, i32, i32, i32) -> (i32)"},
		{"module: 4·10⁹ locals", "a.wasm", module(types, section(3, []byte{0}), section(7, join(text("_start"), []byte{0, 0})), section(10, sized(locals))), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: function 0 declares 4000000000 locals; the most is 50000"},
		{"module: type error", "a.wasm", handler(""), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: it is not valid WebAssembly: invalid function[0] export[\"handle_request\"]: not enough results\n\thave ()\n\twant (i64)"},
		{"module: more memory than there is", "a.wasm", handlerWith(1<<20, nil, zero64), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: it starts with 1048576 pages of memory; the most is 65536"},
		{"module: section that is longer than the file", "a.wasm", append(module(), 1, 0xff, 0xff, 0xff, 0xff, 0x0f), "module_refused: local.invalid/a@v0.0.0-VARIABLE: module module.wasm: the module is refused: section at 14: it ends too early"},
	} {
		rows = append(rows, row{name: x.name, do: func() string { return f.upload(x.file, x.content) }, want: x.want})
	}
	return rows
}

// guests can be installed, and fail when they are started or asked.
func (f *fixture) guests() []row {
	guest := func(pkg string, wasm []byte, lines string) []byte {
		return published{pkg: "hostile.example/" + pkg, version: "v1.0.0", files: map[string]string{"m.wasm": string(wasm)},
			manifest: "[handler]\nmodule = \"m.wasm\"\nabi = \"http-wasm\"\n" + lines}.zip(f)
	}
	install := func(pkg string, content []byte) func() {
		return func() { f.mustInstall(f.upload(pkg+".zip", content)) }
	}
	mount := func(pkg string) func() string {
		return func() string {
			return f.action("POST", "/mounts", api.MountRequest{Package: "hostile.example/" + pkg, Path: "/" + pkg, Slot: "production"})
		}
	}
	ask := func(pkg string) func() string {
		return func() string { return f.raw("GET /" + pkg + "/ HTTP/1.1\r\nHost: x\r\n\r\n") }
	}
	asked := func(name, pkg string, wasm []byte, lines, want string) row {
		return row{name: name, want: want, do: ask(pkg), setup: func() {
			install(pkg, guest(pkg, wasm, lines))()
			f.call("POST", "/mounts", api.MountRequest{Package: "hostile.example/" + pkg, Path: "/" + pkg, Slot: "production"}, nil)
		}}
	}
	unmountable := func(name, pkg string, content []byte, want string) row {
		return row{name: name, want: want, do: mount(pkg), setup: install(pkg, content)}
	}
	start := []byte{8, 1, 2} // a start section with the third function
	return []row{
		unmountable("trap in the start function", "start", guest("start", handlerWith(1, start, zero64), ""), "422 not_healthy: /start (production): hostile.example/start@v1.0.0: hostile.example/start@v1.0.0: unreachable code was reached: the guest gave up, as by a panic"),
		unmountable("memory beyond its limit", "memory", guest("memory", handlerWith(60000, nil, zero64), "memory = \"16MiB\"\n"), "422 not_healthy: /memory (production): hostile.example/memory@v1.0.0: hostile.example/memory@v1.0.0: the memory limit was reached: the module starts with 3932160000 bytes, and 16777216 are allowed"),
		unmountable("nothing to serve", "empty", published{pkg: "hostile.example/empty", version: "v1.0.0"}.zip(f), "422 unfit: /empty (production): hostile.example/empty@v1.0.0: the package cannot be used like this: it has no handler; its author has to add one to berth.toml"),
		unmountable("health check fails", "sick", guest("sick", handler(unreachable), "health = \"/health\"\n"), "422 not_healthy: /sick (production): hostile.example/sick@v1.0.0: its health path /health failed: hostile.example/sick@v1.0.0: unreachable code was reached: the guest gave up, as by a panic"),
		asked("trap", "trap", handler(unreachable), "", "500 The site could not answer this request."),
		asked("recursion without end", "deep", handler(callFirst), "", "500 The site could not answer this request."),
	}
}
