package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

const editHelp = `COPY is a copy made by berth copy, or the last part of its name. Without more, its files are listed.

  get FILE, put FILE      print a file; write one from standard input
  open FILE               edit a file with $VISUAL or $EDITOR
  delete FILE             delete a file
  rename FILE TO          move a file or folder
  save                    make a version of the draft; --note says what changed
  versions                list the saved versions
  beta [PATH]             put a version into the beta slot where the original stands
  merge VERSION           bring another installed version of the original into the draft
  resolve FILE mine|theirs  decide a conflict by taking one side
  discard VERSION         bring the draft back to a version, to original, or to draft: what it was before
                          the last upload, merge or discard
  upload ZIP              put the files of a zip into the draft; with --whole, instead of all its files
  download ZIP            write the draft, or a --version, to a new zip
  export FILE             write the copy with its history to a new git bundle: git clone FILE

berth diff COPY@v1.0.1 COPY@draft shows what changed.`

// An edit is one run of berth edit.
type edit struct {
	*cli
	cl                  *client.Client
	copy                api.Copy
	version, note, base string
	whole               bool
	baseGiven           bool
}

func setupEdit(c *cli, f *flag.FlagSet) func(context.Context, []string) error {
	e := &edit{cli: c}
	f.StringVar(&e.version, "version", "", "for get, download and beta: this `version` instead of the draft, or of the newest")
	f.StringVar(&e.note, "note", "", "for save: `text` that says what changed")
	f.StringVar(&e.base, "base", "", "for put and delete: `hash` of what is replaced; none: whatever is there")
	f.BoolVar(&e.whole, "whole", false, "for upload: the zip replaces all files")
	words := map[string]struct {
		args int
		do   func(context.Context, []string) error
	}{
		"list": {0, e.list}, "get": {1, e.get}, "put": {1, e.put}, "open": {1, e.open}, "delete": {1, e.delete}, "rename": {2, e.rename},
		"save": {0, e.save}, "versions": {0, e.versions}, "beta": {0, e.beta}, "merge": {1, e.merge}, "resolve": {2, e.resolve},
		"discard": {1, e.discard}, "upload": {1, e.upload}, "download": {1, e.download}, "export": {1, e.export},
	}
	return func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			return exactly(args, 1, "a COPY")
		}
		word := "list"
		if len(args) > 1 {
			word = args[1]
		}
		w, ok := words[word]
		rest := args[min(2, len(args)):]
		if !ok || len(rest) != w.args && (word != "beta" || len(rest) > 1) {
			return &usageError{message: fmt.Sprintf("%q cannot be read", strings.Join(args[1:], " ")), hint: "berth edit --help tells what can be done with a copy"}
		}
		var err error
		if e.cl, err = c.client(); err != nil {
			return err
		}
		if e.copy, err = findCopy(ctx, e.cl, args[0]); err != nil {
			return err
		}
		e.baseGiven = given(f, "base")
		return w.do(ctx, rest)
	}
}

func (e *edit) query(more ...string) url.Values {
	q := url.Values{"package": {e.copy.Package}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return q
}

func (e *edit) files(ctx context.Context) (files api.Files, err error) {
	err = e.cl.Call(ctx, http.MethodGet, "/copies/files", e.query("version", e.version), nil, &files)
	return files, err
}

func (e *edit) list(ctx context.Context, _ []string) error {
	files, err := e.files(ctx)
	if err != nil {
		return err
	}
	return e.print(files, func(w io.Writer) {
		e.table(w, "FILE SIZE KIND STATE", func(row func(...any)) {
			for _, f := range files.Files {
				row(f.Path, size(f.Size), f.Kind, fileState(files, f.Path))
			}
			for _, p := range files.Unsaved {
				if !hasFile(files, p) {
					row(p, "-", "-", "deleted, not saved")
				}
			}
		})
		for _, c := range files.Conflicts {
			if !hasFile(files, c.Path) || !c.Marked {
				fmt.Fprintf(w, "conflict: %s differs from that of %s: berth edit %s resolve %s mine|theirs\n", c.Path, c.From, e.copy.Package, c.Path)
			}
		}
		for _, p := range files.Problems {
			fmt.Fprintf(w, "problem: %s\n", problemText(p))
		}
		if files.Note != "" {
			fmt.Fprintf(w, "note: %s\n", files.Note)
		}
	})
}

func hasFile(files api.Files, p string) bool {
	for _, f := range files.Files {
		if f.Path == p {
			return true
		}
	}
	return false
}

func fileState(files api.Files, p string) string {
	for _, c := range files.Conflicts {
		if c.Path == p {
			return "conflict with " + c.From
		}
	}
	for _, u := range files.Unsaved {
		if u == p {
			return "not saved"
		}
	}
	return "-"
}

func problemText(p api.FileProblem) string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// read returns a file and its hash.
func (e *edit) read(ctx context.Context, file string) ([]byte, string, error) {
	resp, err := e.cl.Do(ctx, http.MethodGet, "/copies/file", e.query("path", file, "version", e.version), nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return b, strings.Trim(resp.Header.Get("ETag"), `"`), err
}

func (e *edit) get(ctx context.Context, args []string) error {
	content, hash, err := e.read(ctx, args[0])
	if err != nil {
		return err
	}
	return e.print(map[string]any{"path": args[0], "hash": hash, "content": content}, func(w io.Writer) { _, _ = w.Write(content) })
}

// baseOf returns the hash that a change of a file is based on: the one that was
// given, or that of what is there.
func (e *edit) baseOf(ctx context.Context, file string) (string, error) {
	if e.baseGiven {
		return e.base, nil
	}
	_, hash, err := e.read(ctx, file)
	if isCode(err, "no_file") {
		return "", nil
	}
	return hash, err
}

func isCode(err error, code string) bool {
	e := (*console.Error)(nil)
	return errors.As(err, &e) && e.Code == code
}

func (e *edit) put(ctx context.Context, args []string) error {
	base, err := e.baseOf(ctx, args[0])
	if err != nil {
		return err
	}
	content, err := io.ReadAll(e.stdin)
	if err != nil {
		return err
	}
	f, err := e.write(ctx, args[0], base, content)
	if err != nil {
		return err
	}
	return e.printWritten(ctx, f)
}

func (e *edit) write(ctx context.Context, file, base string, content []byte) (f api.File, err error) {
	resp, err := e.cl.Do(ctx, http.MethodPut, "/copies/file", e.query("path", file, "base", base), bytes.NewReader(content))
	if err != nil {
		return f, err
	}
	defer resp.Body.Close()
	return f, json.NewDecoder(resp.Body).Decode(&f)
}

// printWritten tells of a write, and what has to be known of it.
func (e *edit) printWritten(ctx context.Context, f api.File) error {
	e.version = ""
	files, err := e.files(ctx)
	if err != nil {
		return err
	}
	return e.print(f, func(w io.Writer) {
		fmt.Fprintf(w, "wrote %s, %s; not saved as a version yet: berth edit %s save\n", f.Path, size(f.Size), e.copy.Package)
		for _, p := range files.Problems {
			fmt.Fprintf(w, "problem: %s\n", problemText(p))
		}
		if files.Note != "" && (f.Kind == "built" || f.Kind == "source") {
			fmt.Fprintf(w, "note: %s\n", files.Note)
		}
	})
}

// open lets the owner edit a file with his editor. Whatever goes wrong, what he
// wrote stays on his disk.
func (e *edit) open(ctx context.Context, args []string) error {
	file := args[0]
	e.version = ""
	content, base, err := e.read(ctx, file)
	if err != nil && !isCode(err, "no_file") {
		return err
	}
	dir, err := os.MkdirTemp("", "berth-edit-*")
	if err != nil {
		return err
	}
	local := filepath.Join(dir, path.Base(file)) // the editor goes by its name
	if err := os.WriteFile(local, content, 0o600); err != nil {
		return err
	}
	if err := e.runEditor(ctx, local); err != nil {
		return &hintError{fmt.Errorf("the editor: %w", err), "what you wrote is in " + local}
	}
	edited, err := os.ReadFile(local)
	if err != nil {
		return err
	}
	if bytes.Equal(edited, content) && base != "" {
		return errors.Join(e.done("unchanged", file), os.RemoveAll(dir))
	}
	f, err := e.write(ctx, file, base, edited)
	if isCode(err, "edit_conflict") {
		return &hintError{err, "what you wrote is in " + local + "; what is there now: berth edit " + e.copy.Package + " get " + file}
	}
	if err != nil {
		return &hintError{err, "what you wrote is in " + local}
	}
	return errors.Join(e.printWritten(ctx, f), os.RemoveAll(dir))
}

func (e *edit) runEditor(ctx context.Context, file string) error {
	fallback := "vi"
	if runtime.GOOS == "windows" {
		fallback = "notepad"
	}
	words := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), fallback))
	command := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	command.Stdin, command.Stdout, command.Stderr = e.stdin, e.stderr, e.stderr
	return command.Run()
}

func (e *edit) delete(ctx context.Context, args []string) error {
	base, err := e.baseOf(ctx, args[0])
	if err != nil {
		return err
	}
	if err := e.cl.Call(ctx, http.MethodDelete, "/copies/file", e.query("path", args[0], "base", base), nil, nil); err != nil {
		return err
	}
	return e.done("deleted", args[0])
}

func (e *edit) rename(ctx context.Context, args []string) error {
	base, err := e.baseOf(ctx, args[0])
	if err != nil {
		return err
	}
	in := api.RenameRequest{Package: e.copy.Package, From: args[0], To: args[1], Base: base}
	if err := e.cl.Call(ctx, http.MethodPost, "/copies/rename", nil, in, nil); err != nil {
		return err
	}
	return e.done("renamed", args[0]+" to "+args[1])
}

func (e *edit) save(ctx context.Context, _ []string) error {
	var job console.Job
	if err := e.cl.Call(ctx, http.MethodPost, "/copies/save", nil, api.SaveRequest{Package: e.copy.Package, Note: e.note}, &job); err != nil {
		return err
	}
	job, err := e.followJob(ctx, e.cl, job)
	if err != nil {
		return err
	}
	var v api.CopyVersion
	if err := json.Unmarshal(job.Result, &v); err != nil {
		return err
	}
	return e.print(v, func(w io.Writer) {
		fmt.Fprintf(w, "saved %s@%s\ntry it: berth edit %s beta\n", v.Package, v.Version, v.Package)
	})
}

func (e *edit) versions(ctx context.Context, _ []string) error {
	var list []api.CopyVersion
	if err := e.cl.Call(ctx, http.MethodGet, "/copies/versions", e.query(), nil, &list); err != nil {
		return err
	}
	return e.print(list, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintf(w, "no version was saved yet; berth edit %s save\n", e.copy.Package)
			return
		}
		e.table(w, "VERSION WHEN WHO NOTE", func(row func(...any)) {
			for _, v := range list {
				note, _, _ := strings.Cut(v.Note, "\n")
				if !v.Installed {
					note += " (removed)"
				}
				row(v.Version, v.Time.Local().Format("2006-01-02 15:04"), v.By, note)
			}
		})
	})
}

func (e *edit) beta(ctx context.Context, args []string) error {
	in := api.TryRequest{Package: e.copy.Package, Version: e.version}
	if len(args) == 1 {
		m, err := mounted(ctx, e.cl, args[0])
		if err != nil {
			return err
		}
		in.Mount = m.ID
	}
	var m api.Mount
	if err := e.cl.Call(ctx, http.MethodPost, "/copies/try", nil, in, &m); err != nil {
		return err
	}
	return e.print(m, func(w io.Writer) {
		fmt.Fprintf(w, "%s@%s stands at %s%s (beta)\nlook at it: berth beta %s%s\npromote it: berth promote %s%s\n",
			m.Beta.Package, m.Beta.Version, m.Host, m.Path, m.Host, m.Path, m.Host, m.Path)
	})
}

func (e *edit) merge(ctx context.Context, args []string) error {
	var m api.Merged
	if err := e.cl.Call(ctx, http.MethodPost, "/copies/merge", nil, api.MergeRequest{Package: e.copy.Package, Version: args[0]}, &m); err != nil {
		return err
	}
	return e.print(m, func(w io.Writer) {
		fmt.Fprintf(w, "merged %s into the draft: %s changed\n", m.To, count(len(m.Changed), "file"))
		for _, c := range m.Conflicts {
			how := fmt.Sprintf("berth edit %s resolve %s mine|theirs", e.copy.Package, c.Path)
			if c.Marked {
				how = "edit it until no marks are left, or " + how
			}
			fmt.Fprintf(w, "conflict: %s: %s\n", c.Path, how)
		}
	})
}

func (e *edit) resolve(ctx context.Context, args []string) error {
	in := api.ResolveRequest{Package: e.copy.Package, Path: args[0], Take: args[1]}
	if err := e.cl.Call(ctx, http.MethodPost, "/copies/resolve", nil, in, nil); err != nil {
		return err
	}
	return e.done("resolved", args[0])
}

func (e *edit) discard(ctx context.Context, args []string) error {
	var now api.Copy
	if err := e.cl.Call(ctx, http.MethodPost, "/copies/discard", nil, api.DiscardRequest{Package: e.copy.Package, Version: args[0]}, &now); err != nil {
		return err
	}
	return e.print(now, func(w io.Writer) {
		fmt.Fprintf(w, "the draft is brought back; undo that: berth edit %s discard draft\n", e.copy.Package)
	})
}

func (e *edit) upload(ctx context.Context, args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	resp, err := e.cl.Do(ctx, http.MethodPost, "/copies/upload", e.query("whole", fmt.Sprint(e.whole)), f)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var u api.Uploaded
	if err := json.NewDecoder(resp.Body).Decode(&u); err != nil {
		return err
	}
	return e.print(u, func(w io.Writer) {
		fmt.Fprintf(w, "uploaded: %s changed\n", count(len(u.Changed), "file"))
		for _, p := range u.Skipped {
			fmt.Fprintf(w, "left out: %s\n", p)
		}
	})
}

func (e *edit) download(ctx context.Context, args []string) error {
	return e.fetch(ctx, "/copies/download", e.query("version", e.version), args[0])
}

func (e *edit) export(ctx context.Context, args []string) error {
	return e.fetch(ctx, "/copies/export", e.query(), args[0])
}

// fetch writes an answer to a new file, whole or not at all.
func (e *edit) fetch(ctx context.Context, path string, query url.Values, file string) error {
	resp, err := e.cl.Do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &hintError{err, "name a new file: nothing is written over"}
	}
	if err != nil {
		return err
	}
	n, err := io.Copy(f, resp.Body)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return e.print(map[string]any{"file": file, "size": n}, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", file, size(n)) })
}
