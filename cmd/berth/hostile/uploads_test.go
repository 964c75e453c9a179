package hostile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"strings"

	"github.com/berth-host/berth/cmd/berth/api"
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
		{"nothing", "a.zip", nil, "?"},
		{"page", "a.zip", []byte("<html>" + strings.Repeat(" ", 100)), "?"},
		{"text with another ending", "a.exe", []byte("MZ"), "?"},
		{"empty zip", "a.zip", f.makeZip(), "?"},
		{"cut short", "a.zip", whole[:len(whole)-8], "?"},
		{"two zips in one", "a.zip", join(whole, whole), "?"},
		{"no prefix", "a.zip", f.makeZip(entry{name: "berth.toml", body: identity}), "?"},
		{"up and out", "a.zip", with(entry{name: prefix + "../../../etc/passwd", body: "x"}), "?"},
		{"absolute", "a.zip", with(entry{name: "/etc/passwd", body: "x"}), "?"},
		{"link", "a.zip", with(entry{name: prefix + "a", body: "/etc/passwd", mode: fs.ModeSymlink | 0o777}), "?"},
		{"same but for case", "a.zip", with(entry{name: prefix + "Berth.toml", body: "x"}), "?"},
		{"device name", "a.zip", with(entry{name: prefix + "CON", body: "x"}), "?"},
		{"control characters in a name", "a.zip", with(entry{name: prefix + "\x1b[2J", body: "x"}), "?"},
		{"too many entries", "a.zip", with(many...), "?"},
		{"bomb", "a.zip", with(bomb...), "?"},
		{"no manifest", "a.zip", f.makeZip(entry{name: prefix + "a", body: "x"}), "?"},
		{"other identity", "a.zip", f.makeZip(entry{name: "hostile.example/other@v1.0.0/berth.toml", body: identity}), "?"},
		{"unknown key", "a.zip", manifest("titel = \"x\"\n"), "?"},
		{"manifest that is no TOML", "a.zip", manifest("= = =\n"), "?"},
		{"control characters in a title", "a.zip", manifest("title = \"\\u001b[2J\"\n"), "?"},
		{"module that is missing", "a.zip", manifest(httpWasm), "?"},
		{"module above the package", "a.zip", manifest(strings.Replace(httpWasm, "m.wasm", "../m.wasm", 1)), "?"},
		{"unknown ABI", "a.zip", manifest("[handler]\nmodule = \"m.wasm\"\nabi = \"java\"\n", entry{name: prefix + "m.wasm", body: string(hello)}), "?"},
		{"schema that is no schema", "a.zip", manifest("[config]\ntype = 7\n"), "?"},
		{"schema that points out", "a.zip", manifest("[config]\n\"$ref\" = \"file:///etc/passwd\"\n"), "?"},
		{"module in a zip that is text", "a.zip", manifest(httpWasm, entry{name: prefix + "m.wasm", body: "echo"}), "?"},

		{"module: nothing", "a.wasm", nil, "?"},
		{"module: text", "a.wasm", []byte("#!/bin/sh\n"), "?"},
		{"module: component", "a.wasm", []byte("\x00asm\x0d\x00\x01\x00"), "?"},
		{"module: later version", "a.wasm", []byte("\x00asm\x02\x00\x00\x00"), "?"},
		{"module: cut short", "a.wasm", hello[:len(hello)/2], "?"},
		{"module: without entry", "a.wasm", module(), "?"},
		{"module: wrong signature", "a.wasm", module(types, section(3, []byte{0}, []byte{2}),
			section(7, join(text("handle_request"), []byte{0, 0}), join(text("handle_response"), []byte{0, 1})), section(10, code(""), code(""))), "?"},
		{"module: unknown import", "a.wasm", module(types, section(2, join(text("env"), text("system"), []byte{0, 0})),
			section(7, join(text("_start"), []byte{0, 0}))), "?"},
		{"module: known import with another signature", "a.wasm", module(types, section(2, join(text("wasi_snapshot_preview1"), text("fd_write"), []byte{0, 0})),
			section(7, join(text("_start"), []byte{0, 0}))), "?"},
		{"module: 4·10⁹ locals", "a.wasm", module(types, section(3, []byte{0}), section(7, join(text("_start"), []byte{0, 0})), section(10, sized(locals))), "?"},
		{"module: type error", "a.wasm", handler(""), "?"},
		{"module: more memory than there is", "a.wasm", handlerWith(1<<20, nil, zero64), "?"},
		{"module: section that is longer than the file", "a.wasm", append(module(), 1, 0xff, 0xff, 0xff, 0xff, 0x0f), "?"},
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
		unmountable("trap in the start function", "start", guest("start", handlerWith(1, start, zero64), ""), "?"),
		unmountable("memory beyond its limit", "memory", guest("memory", handlerWith(60000, nil, zero64), "memory = \"16MiB\"\n"), "?"),
		unmountable("nothing to serve", "empty", published{pkg: "hostile.example/empty", version: "v1.0.0"}.zip(f), "?"),
		unmountable("health check fails", "sick", guest("sick", handler(unreachable), "health = \"/health\"\n"), "?"),
		asked("trap", "trap", handler(unreachable), "", "?"),
		asked("recursion without end", "deep", handler(callFirst), "", "?"),
	}
}
