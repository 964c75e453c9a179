package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
	"github.com/berth-host/berth/failsafe/smallfile"
)

// inventory asks a helper what the store holds. Its time is short: the page
// waits.
func (s *Server) inventory(ctx context.Context) (helper.Inventory, error) {
	if err := s.runner.take(); err != nil {
		return helper.Inventory{}, err
	}
	defer s.runner.free()
	var out bytes.Buffer
	limits := helper.ShortLimits
	limits.Time = listLimit
	if _, err := s.runner.run(ctx, limits, []string{helper.List}, nil, &out); err != nil {
		return helper.Inventory{}, err
	}
	inv, err := helper.ReadInventory(&out)
	switch {
	case err != nil:
		return inv, err
	case inv.Locked:
		return inv, errLocked
	case inv.Problem != "":
		return inv, errors.New(firstLine(inv.Problem))
	}
	return inv, nil
}

// listLimit is how long a page waits for the list of what is stored.
const listLimit = 20 * time.Second

func (s *Server) storedPage(w http.ResponseWriter, r *http.Request, title, here, name string) {
	inv, err := s.inventory(r.Context())
	v := s.view(r, title, here)
	v.Body = struct {
		helper.Inventory
		Err      string
		Suspect  string
		LastGood string
	}{inv, message(err), s.suspect(), s.start.LastGood}
	s.show(w, http.StatusOK, name, v)
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return capital(err.Error())
}

// suspect is the module that may be to blame, "" when none is known.
func (s *Server) suspect() string {
	_, crashes, _ := s.records()
	if f := s.failure(crashes); f != nil {
		return f.Module
	}
	return ""
}

func (s *Server) sitePage(w http.ResponseWriter, r *http.Request) {
	s.storedPage(w, r, "Site", "/site", "site")
}

func (s *Server) storePage(w http.ResponseWriter, r *http.Request) {
	s.storedPage(w, r, "Store", "/store", "store")
}

// startupView is the page with the startup file.
type startupView struct {
	startupText
	Path   string
	Copies []startupCopy
	Copy   int // number of the copy that is shown, 0 for the file itself
	Line   int
}

func (s *Server) startupPage(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.FormValue("copy"))
	if number < 0 || number > keptCopies {
		number = 0
	}
	text, err := s.readStartup(number)
	line := s.faultLine(s.start.Reason)
	if number > 0 {
		line = 0 // the reason is about the file itself
		if now, err := s.readStartup(0); err == nil {
			text.Sum = now.Sum // it will take the place of what is there now
		}
	}
	s.showStartup(w, r, http.StatusOK, startupView{startupText: text, Copy: number, Line: line}, message(err), "")
}

func (s *Server) showStartup(w http.ResponseWriter, r *http.Request, status int, sv startupView, problem, notice string) {
	sv.Path, sv.Copies = s.config.Startup, s.startupCopies()
	v := s.view(r, "Startup file", "/startup")
	v.Problem, v.Notice, v.Body = problem, notice, sv
	s.show(w, status, "startup", v)
}

func (s *Server) editStartup(w http.ResponseWriter, r *http.Request) {
	text := r.PostFormValue("text")
	if err := s.saveStartup(r.Context(), text, r.PostFormValue("sum")); err != nil {
		sv := startupView{startupText: startupText{Text: text, Sum: r.PostFormValue("sum")}, Line: lineIn(err.Error())}
		if errors.Is(err, errChanged) {
			if now, err := s.readStartup(0); err == nil {
				sv.Sum = now.Sum // saving again means it
			}
		}
		s.showStartup(w, r, http.StatusUnprocessableEntity, sv, "Not saved. "+message(err), "")
		return
	}
	s.config.Log.Info("startup file changed", "from", password.Source(r))
	now, err := s.readStartup(0)
	s.showStartup(w, r, http.StatusOK, startupView{startupText: now}, message(err), "Saved. It counts from the next start on.")
}

// lineIn finds the line that a message of the form file:line: names.
func lineIn(message string) int {
	for part := range strings.SplitSeq(message, ":") {
		if n, err := strconv.Atoi(part); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// accessView is the page for password and port.
type accessView struct {
	Source   string
	Console  string
	PortFlag string
	Failed   int
}

func (s *Server) accessPage(w http.ResponseWriter, r *http.Request) {
	s.showAccess(w, r, http.StatusOK, "", "")
}

func (s *Server) showAccess(w http.ResponseWriter, r *http.Request, status int, problem, notice string) {
	v := s.view(r, "Access", "/access")
	v.Problem, v.Notice = problem, notice
	v.Body = accessView{s.config.Password.Source(), s.socket(protocol.Console).Address, s.config.PortFlag, s.limiter.Failed()}
	s.show(w, status, "access", v)
}

func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) {
	if source := s.config.Password.Source(); source != "" {
		s.showAccess(w, r, http.StatusConflict, "The password is given by "+source+": change it there.", "")
		return
	}
	if status, problem := s.tryPassword(r, r.PostFormValue("old")); problem != "" {
		s.showAccess(w, r, status, "The present password: "+problem, "")
		return
	}
	text := r.PostFormValue("password")
	if again, asked := r.PostForm["again"]; asked && again[0] != text {
		s.showAccess(w, r, http.StatusUnprocessableEntity, "The two new passwords differ. Type them again.", "")
		return
	}
	if err := s.config.Password.Set(text); err != nil {
		s.showAccess(w, r, http.StatusUnprocessableEntity, "Not changed: "+err.Error()+".", "")
		return
	}
	s.sessions.closeAll()
	v := r.WithContext(context.WithValue(r.Context(), tokenKey{}, s.welcome(w, r)))
	s.handOver(w, r)
	s.config.Log.Info("password changed", "from", password.Source(r))
	s.showAccess(w, v, http.StatusOK, "", "The password is changed. Everybody else is logged out.")
}

func (s *Server) changePort(w http.ResponseWriter, r *http.Request) {
	port, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("port")))
	if err != nil || port < 1 || port > 65535 {
		s.showAccess(w, r, http.StatusUnprocessableEntity, "A port is a number from 1 to 65535.", "")
		return
	}
	host, _, err := net.SplitHostPort(s.socket(protocol.Console).Address)
	if err != nil {
		host = "127.0.0.1"
	}
	now, err := s.readStartup(0)
	if err == nil {
		err = s.saveStartup(r.Context(), withConsole(now.Text, net.JoinHostPort(host, strconv.Itoa(port))), now.Sum)
	}
	if err != nil {
		s.showAccess(w, r, http.StatusUnprocessableEntity, "Not changed. "+message(err), "")
		return
	}
	notice := fmt.Sprintf("Saved in the startup file. From the next start on the console is at port %d: put it into the address of this page.", port)
	if s.config.PortFlag != "" {
		notice = "Saved in the startup file. But the server is started with " + s.config.PortFlag + ", which wins: take that away where berth is started."
	}
	s.showAccess(w, r, http.StatusOK, "", notice)
}

// commandsView is the page on which commands are typed.
type commandsView struct {
	Commands []helper.Command
	Typed    string
	Help     *helper.Command
}

func (s *Server) commandsPage(w http.ResponseWriter, r *http.Request) {
	s.showCommands(w, r, http.StatusOK, commandsView{}, "")
}

func (s *Server) showCommands(w http.ResponseWriter, r *http.Request, status int, c commandsView, problem string) {
	c.Commands = helper.Commands
	v := s.view(r, "Commands", "/commands")
	v.Problem, v.Body = problem, c
	s.show(w, status, "commands", v)
}

// runCommand runs what was typed, or what a button says. No shell sees it:
// words are matched with the list of commands.
func (s *Server) runCommand(w http.ResponseWriter, r *http.Request) {
	typed := strings.TrimSpace(r.PostFormValue("command"))
	words := strings.Fields(typed)
	if c := findCommand(firstWord(words)); c != nil && len(words) > 2 && (slices.Equal(c.Args, []string{"PATH"}) || slices.Equal(c.Args, []string{"FILE"})) {
		words = []string{c.Name, strings.TrimSpace(strings.TrimPrefix(typed, c.Name))} // there may be spaces in it
	}
	if arg := strings.TrimSpace(r.PostFormValue("argument")); arg != "" { // from a form of one command
		words = append(words, arg)
	}
	if len(words) == 0 || words[0] == "help" {
		c := commandsView{}
		if len(words) > 1 {
			c.Help = findCommand(words[1])
			if c.Help == nil {
				s.showCommands(w, r, http.StatusNotFound, c, fmt.Sprintf("There is no command %q.", record.Cut(words[1], 100)))
				return
			}
		}
		s.showCommands(w, r, http.StatusOK, c, "")
		return
	}
	c := findCommand(words[0])
	if c == nil {
		s.showCommands(w, r, http.StatusNotFound, commandsView{Typed: typed}, fmt.Sprintf("There is no command %q. These are all:", record.Cut(words[0], 100)))
		return
	}
	if len(words)-1 != len(c.Args) {
		s.showCommands(w, r, http.StatusUnprocessableEntity, commandsView{Typed: typed, Help: c}, "It goes like this: "+c.Usage())
		return
	}
	s.startJob(w, r, strings.Join(words, " "), c.Limits, words, nil)
}

func firstWord(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

func findCommand(name string) *helper.Command {
	i := slices.IndexFunc(helper.Commands, func(c helper.Command) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &helper.Commands[i]
}

func (s *Server) startJob(w http.ResponseWriter, r *http.Request, title string, limits helper.Limits, args []string, done func()) {
	if err := s.runner.start(title, limits, args, done); err != nil {
		if done != nil {
			done()
		}
		s.problem(w, r, http.StatusConflict, message(err)+".", "")
		return
	}
	s.config.Log.Info("repair", "command", title, "from", password.Source(r))
	http.Redirect(w, r, "/job", http.StatusSeeOther)
}

func (s *Server) cancelJob(w http.ResponseWriter, r *http.Request) {
	s.runner.cancel()
	http.Redirect(w, r, "/job", http.StatusSeeOther)
}

// jobPage shows the last job's output as it comes: the page is sent piece by
// piece. A reload begins anew and loses nothing.
func (s *Server) jobPage(w http.ResponseWriter, r *http.Request) {
	j := s.runner.job()
	if j == nil {
		s.problem(w, r, http.StatusNotFound, "Nothing has run yet", "")
		return
	}
	v := s.view(r, j.title, "/job")
	_, ended, _, _ := j.next(0)
	v.Body = struct{ Ended bool }{ended}
	var head bytes.Buffer
	if err := pages.ExecuteTemplate(&head, "job", v); err != nil {
		s.config.Log.Error("a page can't be built", "page", "job", "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	before, after, _ := strings.Cut(head.String(), outputMark)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Accel-Buffering", "no") // for a proxy that would wait for the end
	flush := http.NewResponseController(w)
	_, _ = io.WriteString(w, before)
	result, ok := s.follow(r.Context(), w, flush, j)
	if !ok {
		return
	}
	var end bytes.Buffer
	_ = pages.ExecuteTemplate(&end, "job-end", struct{ Result, Took, Token string }{result, inWords(j.took), v.Token}) // a buffer
	_, _ = io.WriteString(w, "</pre>"+end.String()+after)
}

// outputMark stands in the page of a job where its output goes.
const outputMark = "\uE000output\uE000"

// heartbeatLine keeps a quiet page alive, and tells us when its reader is gone.
const heartbeatLine = 15 * time.Second

// follow writes output until the job ends; false when the reader is gone.
func (s *Server) follow(ctx context.Context, w io.Writer, flush *http.ResponseController, j *job) (result string, ok bool) {
	at := 0
	for {
		text, ended, result, changed := j.next(at)
		at += len(text)
		template.HTMLEscape(w, []byte(text))
		if ended {
			return result, true
		}
		if flush.Flush() != nil {
			return "", false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", false
		case <-time.After(heartbeatLine):
			_, _ = io.WriteString(w, "<!-- still running -->")
		}
	}
}

// downloadBackup sends a backup as a helper writes it.
func (s *Server) downloadBackup(w http.ResponseWriter, r *http.Request) {
	if err := s.runner.take(); err != nil {
		s.problem(w, r, http.StatusConflict, message(err)+".", "")
		return
	}
	defer s.runner.free()
	out := &download{w: w, name: "berth-backup-" + time.Now().Format("20060102-150405") + ".tar"}
	_, err := s.runner.run(r.Context(), helper.LongLimits, []string{helper.BackupStdout}, nil, out)
	switch {
	case err == nil && out.begun:
	case out.begun:
		// Half of a backup must not look like a whole one.
		panic(http.ErrAbortHandler)
	default:
		s.problem(w, r, http.StatusInternalServerError, "There is no backup: "+message(err), "If the store is damaged, try the steps on the page Store from top to bottom. The folder itself can be copied as it is.")
	}
}

// A download begins with the first byte.
type download struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

func (d *download) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.w.Header().Set("Content-Type", "application/x-tar")
		d.w.Header().Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	}
	return d.w.Write(p)
}

// Limits of uploads, in bytes. A backup may be as large as the disk holds.
const (
	maxPackage = 64 << 20
	maxBackup  = 1 << 40
	maxKey     = 1 << 10 // what is no key is told by the helper
)

// uploadPrefix begins the names of files that are being uploaded.
const uploadPrefix = smallfile.TempPrefix + "upload-"

// upload takes a backup, a package or a key from the browser and gives it to a helper.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		s.problem(w, r, http.StatusBadRequest, "There was no file", "Choose a file and try again.")
		return
	}
	fields := map[string]string{}
	for {
		part, err := parts.NextPart()
		if err != nil {
			s.problem(w, r, http.StatusBadRequest, "The file did not arrive whole", "Try again. Nothing was changed.")
			return
		}
		if part.FormName() == "file" {
			s.takeUpload(w, r, part, fields)
			return
		}
		value, err := io.ReadAll(io.LimitReader(part, 1<<10))
		if err != nil {
			continue // the next part says so too
		}
		fields[part.FormName()] = string(value)
	}
}

func (s *Server) takeUpload(w http.ResponseWriter, r *http.Request, part *multipart.Part, fields map[string]string) {
	if !sameToken(formToken(r), fields["token"]) {
		s.problem(w, r, http.StatusForbidden, "This form is too old", "Load the page again and repeat what you did. Nothing was done.")
		return
	}
	if s.runner.running() {
		s.problem(w, r, http.StatusConflict, message(errBusy)+".", "")
		return
	}
	name := filepath.Base(strings.ReplaceAll(part.FileName(), "\\", "/"))
	verb, limit, limits := helper.InstallFile, int64(maxPackage), findCommand(helper.Install).Limits
	switch fields["what"] {
	case "backup":
		verb, limit, limits = helper.RestoreFile, maxBackup, helper.LongLimits
	case "key":
		verb, limit, limits = helper.PutKey, maxKey, helper.ShortLimits
	}
	path, err := s.spool(part, limit)
	if err != nil {
		s.problem(w, r, http.StatusUnprocessableEntity, "The file did not arrive: "+err.Error(), "Nothing was changed.")
		return
	}
	args, title := []string{verb, path}, "restore "+name
	switch verb {
	case helper.InstallFile:
		args, title = append(args, name), "install "+name
	case helper.PutKey:
		title = "put secret.key back"
	}
	s.startJob(w, r, record.Cut(record.Plain(title), 200), limits, args, func() { os.Remove(path) })
}

// spool writes an upload to the data folder. What a crash leaves there, the
// next wrapper sweeps away.
func (s *Server) spool(from io.Reader, limit int64) (path string, err error) {
	folder := record.In(s.config.Data).Path()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(folder, uploadPrefix+"*")
	if err != nil {
		return "", err
	}
	n, err := io.Copy(f, io.LimitReader(from, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("it has more than %s", size(uint64(limit)))
	}
	if err == nil && n == 0 {
		err = errors.New("it is empty")
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
