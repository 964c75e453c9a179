package journeys

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp/kb"

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
	j.sees("file public/style.css")
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
