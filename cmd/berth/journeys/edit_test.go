package journeys

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// writeAtEnd types into the editor, after everything that is there.
func (j *journey) writeAtEnd(text string) {
	j.Helper()
	j.typed++
	j.wait(`(() => {
		const editor = document.querySelector("#editor .cm-content");
		if (!editor) return false;
		editor.focus();
		const range = document.createRange();
		range.selectNodeContents(editor);
		range.collapse(false);
		getSelection().removeAllRanges();
		getSelection().addRange(range);
		return document.activeElement === editor;
	})()`, "there is no editor")
	j.run(input.InsertText(text))
}

// kept waits until the server has what was typed.
func (j *journey) kept() {
	j.Helper()
	j.wait(`document.getElementById("draft-state")?.className === "draft-state saved"`, "the draft is not kept")
}

// fileOf names a file of the copy that these journeys edit.
func fileOf(path, base string) url.Values {
	return url.Values{"package": {"local.invalid/foobar"}, "path": {path}, "base": {base}}
}

// write writes a file of the draft as a program does, and returns its hash.
func (j *journey) write(path, base, text string) string {
	j.Helper()
	resp, err := client.New(j.access).Do(j.Context(), "PUT", "/copies/file", fileOf(path, base), strings.NewReader(text))
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	var f api.File
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		j.Fatal(err)
	}
	return f.Hash
}

// stored returns a file of the draft and its hash, as the server has it.
func (j *journey) stored(path string) (text, hash string) {
	j.Helper()
	query := fileOf(path, "")
	query.Del("base")
	resp, err := client.New(j.access).Do(j.Context(), "GET", "/copies/file", query, nil)
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		j.Fatal(err)
	}
	return string(b), strings.Trim(resp.Header.Get("ETag"), `"`)
}

func (j *journey) read(path string) string {
	j.Helper()
	text, _ := j.stored(path)
	return text
}

// body is what visitors get.
func (j *journey) body(path string) string {
	j.Helper()
	resp, err := http.Get(j.site + path)
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		j.Fatal(err)
	}
	return string(b)
}

// TestCopyToProduction copies a package, changes its style, looks at it in beta
// and promotes it, in at most seven clicks.
func TestCopyToProduction(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	j.open("/modules/copies")
	j.audit("copies-none")
	j.open("/modules")
	j.audit("modules")
	j.clicks = 0

	j.click("Copy and edit Foobar")
	j.sees("This is your copy.")
	j.kept()
	j.audit("editor")
	j.writeAtEnd("\nbody { color: rebeccapurple }\n")
	j.kept()
	j.sees("1 file not saved")
	j.audit("editor-changed")
	j.fill("#note", "Letters in purple")
	j.click("Save version")
	j.sees("Saved as v3.5.1.")
	j.click("Try v3.5.1 in beta")
	j.sees("v3.5.1 stands in the beta of /.")
	j.audit("editor-beta")
	if strings.Contains(j.body("/static/style.css"), "rebeccapurple") {
		t.Error("visitors see the beta")
	}
	j.click("See what promoting it would change")
	j.sees("public/style.css")
	j.audit("promote")
	j.click("Promote")
	j.sees("Promoted.")
	if !strings.Contains(j.body("/static/style.css"), "rebeccapurple") {
		t.Error("visitors do not see what was promoted")
	}
	if j.clicks > 7 {
		t.Errorf("%d clicks, at most 7 are allowed", j.clicks)
	}

	j.open("/modules/copies")
	j.sees("saved as v3.5.1")
	j.audit("copies")
	j.open("/modules/versions?package=local.invalid/foobar")
	j.sees("Letters in purple")
	j.audit("versions")
	j.click("what it changed")
	j.sees("rebeccapurple")
	j.audit("compare")
	j.open("/modules/compare?from=foobar.example/foobar@v3.5.0&to=local.invalid/foobar@draft&view=split")
	j.sees("rebeccapurple")
	j.audit("compare-split")
}

// TestTwoWindows edits one file in two windows: what fits is brought together,
// what does not is shown side by side, and nothing is lost.
func TestTwoWindows(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	const file = "/modules/edit?package=local.invalid/foobar&path=notes.txt"
	base := j.write("notes.txt", "", "one\ntwo\nthree\nfour\n")
	j.open(file)
	j.kept()

	// Somebody else changes the first line, this window the last.
	j.write("notes.txt", base, "ONE\ntwo\nthree\nfour\n")
	j.writeAtEnd("five\n")
	j.sees("Changes by this machine were taken in")
	j.kept()
	if got := j.read("notes.txt"); got != "ONE\ntwo\nthree\nfour\nfive\n" {
		t.Errorf("brought together: %q", got)
	}

	// Both change the same line.
	_, base = j.stored("notes.txt")
	j.write("notes.txt", base, "ONE\ntwo\nthree\nfour\ntheirs\n")
	j.writeAtEnd("mine\n")
	j.sees("Two versions of this file")
	j.audit("conflict")
	j.click("Keep the right side")
	j.kept()
	if got := j.read("notes.txt"); got != "ONE\ntwo\nthree\nfour\nfive\nmine\n" {
		t.Errorf("decided: %q", got)
	}
}

// TestDraftWithoutServer writes while the server does not answer: the text stays
// in the browser, over a reload, and reaches the server when it is back.
func TestDraftWithoutServer(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	j.write("notes.txt", "", "one\n")
	j.open("/modules/edit?package=local.invalid/foobar&path=notes.txt")
	j.kept()
	var ok bool
	j.eval(`(() => { window.answered = window.fetch; window.fetch = () => Promise.reject(new TypeError("offline")); return true; })()`, &ok)
	j.writeAtEnd("two\n")
	j.sees("The server does not answer.")
	j.open("/modules/edit?package=local.invalid/foobar&path=notes.txt")
	j.sees("This is what you wrote before")
	j.kept()
	if got := j.read("notes.txt"); got != "one\ntwo\n" {
		t.Errorf("the draft holds %q", got)
	}
}

// TestManifestProblems breaks the manifest, and is led to the line.
func TestManifestProblems(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	j.open("/modules/edit?package=local.invalid/foobar&path=berth.toml")
	j.kept()
	j.writeAtEnd("\n[handlr]\n")
	j.kept()
	j.sees("The draft can’t be saved like this.")
	j.sees(`unknown key "handlr"`)
	j.audit("problems")
	j.click("Save version")
	j.sees("Nothing was saved, and the draft is as it was.")
	j.audit("not-saved")
	j.click("berth.toml, line")
	j.kept()
	j.wait(`document.activeElement?.closest(".cm-editor")`, "the editor is not where the mistake is")

	j.open("/modules/edit?package=local.invalid/foobar&path=foobar.wasm")
	j.sees("it can’t be edited as text")
	j.audit("module")
	j.open("/modules/edit?package=local.invalid/foobar&path=main.go")
	j.sees("Editing a source here does not change foobar.wasm")
	j.audit("source")
}

// TestEditOnAPhone looks at the editor on a phone.
func TestEditOnAPhone(t *testing.T) {
	j := newJourney(t)
	j.phone()
	j.login()
	j.furnish()
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	j.open("/modules/edit?package=local.invalid/foobar")
	j.kept()
	j.audit("editor")
	j.open("/modules/copies")
	j.audit("copies")
}

// TestEditByKeyboard reaches the text, changes it and saves a version without a
// mouse.
func TestEditByKeyboard(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	j.open("/modules/edit?package=local.invalid/foobar")
	j.kept()
	j.tabTo("Text of public/style.css")
	j.run(input.InsertText("/* by hand */"))
	j.kept()
	j.press(kb.Escape) // leaves the text to the next Tab
	j.press(kb.Tab)
	j.wait(`!document.activeElement.closest(".cm-editor")`, "the text holds the keyboard")
	j.open("/modules/edit?package=local.invalid/foobar")
	j.kept()
	j.tabTo("What changed (optional)")
	j.run(input.InsertText("by keyboard"))
	j.press(kb.Enter)
	j.sees("Saved as v3.5.1.")
}

// TestTools uploads a zip and a file, downloads, brings back what was, and
// takes over a new version of the original, with a conflict.
func TestTools(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("POST", "/copies", api.CopyRequest{Package: "foobar.example/foobar"}, nil)
	j.open("/modules/edit?package=local.invalid/foobar")
	j.kept()
	var done bool
	j.eval(`(() => { for (const d of document.querySelectorAll("main details")) d.open = true; return true; })()`, &done)
	j.audit("tools")

	dir := t.TempDir()
	j.upload(filepath.Join(dir, "more.zip"), zipped(t, map[string]string{"public/more.html": "<p>more</p>\n", "public/style.css": "body { color: teal }\n"}), "more.html")
	if got := j.read("public/style.css"); got != "body { color: teal }\n" {
		t.Errorf("the zip left %q", got)
	}
	j.upload(filepath.Join(dir, "logo.png"), "\x89PNG\x00", "logo.png")
	j.open("/modules/edit?package=local.invalid/foobar&path=logo.png")
	j.sees("This file is no text that could be edited here.")
	j.audit("binary")

	var answers []string
	j.eval(`Promise.all([...document.querySelectorAll("a[href^='/api/v1/copies/']")].map((a) => fetch(a.href).then((r) => r.status + " " + r.headers.get("Content-Disposition"))))`, &answers)
	if got := strings.Join(answers, ", "); !strings.Contains(got, "200 attachment; filename=foobar-draft.zip") || !strings.Contains(got, "200 attachment; filename=foobar.bundle") || !strings.Contains(got, "200 attachment; filename=logo.png") {
		t.Errorf("downloads: %s", got)
	}

	// Before the upload, and back again.
	j.click("Bring back")
	j.eval(`(() => { document.getElementById("back-to").value = "draft"; return true; })()`, &done)
	j.click("Bring it back")
	j.sees("The draft is brought back.")

	// A new version of the original changes what was changed here too.
	j.open("/modules/edit?package=local.invalid/foobar&path=public/style.css")
	j.kept()
	j.writeAtEnd("\n/* mine */\n")
	j.kept()
	j.installNewer()
	j.open("/modules/edit?package=local.invalid/foobar&path=public/style.css")
	j.click("Bring in v3.6.0")
	j.sees("1 conflict to decide")
	j.kept()
	j.audit("upstream-conflict")
	j.click("Side by side")
	j.sees("Two versions of this file")
	j.audit("upstream-aside")
	j.click("Take the left side")
	j.kept()
	j.wait(`!document.getElementById("edit-state").innerText.includes("conflict")`, "the conflict is still there")
	if got := j.read("public/style.css"); got != "body { color: green }\n" {
		t.Errorf("decided for %q", got)
	}
}

// upload puts a file into the draft as its owner does, and waits for the tree
// to show a name.
func (j *journey) upload(file, content, shown string) {
	j.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		j.Fatal(err)
	}
	j.open("/modules/edit?package=local.invalid/foobar")
	j.kept()
	j.click("Upload")
	j.run(chromedp.SetUploadFiles("#upload-files", []string{file}, chromedp.ByQuery))
	j.submit("#upload")
	j.wait(`document.getElementById("edit-tree")?.innerText.includes(`+quote(shown)+`)`, "the tree does not show "+shown)
}

// installNewer installs a version 3.6 of Foobar with another style.
func (j *journey) installNewer() {
	j.Helper()
	c := client.New(j.access)
	prefix := "foobar.example/foobar/v3@v3.6.0/"
	files := map[string]string{}
	for _, name := range []string{"berth.toml", "foobar.wasm", "main.go"} {
		b, err := os.ReadFile("../../../modules/foobar/" + name)
		if err != nil {
			j.Fatal(err)
		}
		files[prefix+name] = strings.Replace(string(b), `"v3.5.0"`, `"v3.6.0"`, 1)
	}
	files[prefix+"public/style.css"] = "body { color: green }\n"
	resp, err := c.Do(j.Context(), "POST", "/packages/upload", url.Values{"name": {"foobar.zip"}}, strings.NewReader(zipped(j.T, files)))
	if err != nil {
		j.Fatal(err)
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		j.Fatal(err)
	}
	if job, err = c.Follow(j.Context(), job, func(console.Job) {}); err != nil || job.Error != nil {
		j.Fatalf("install: %v %v", err, job.Error)
	}
}

func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(files[name]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
