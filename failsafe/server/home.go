package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/failsafe/record"
)

// home is the first page: for who may claim a new server, for strangers, and
// for the owner of a broken one.
func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	switch {
	case formToken(r) != "":
		s.overview(w, r, view{})
	case errors.Is(s.config.Password.State(), password.ErrNone):
		http.Redirect(w, r, password.ClaimPath, http.StatusSeeOther)
	default:
		s.loginPage(w, r, http.StatusOK, "")
	}
}

// An overview is what the owner of a broken server sees first.
type overview struct {
	Failure  *failure
	New      bool // nothing has run yet
	Crashes  []record.Crash
	Records  string // what is wrong with the records
	Machine  machine
	LastGood string
	LastAt   string
	Site     protocol.Socket
	Startup  startupText
	Editor   bool
	Attempt  int
	Options  []string
}

func (s *Server) overview(w http.ResponseWriter, r *http.Request, extra view) {
	boot, crashes, problem := s.records()
	o := overview{
		Failure: s.failure(crashes), Crashes: crashes, Records: problem, Machine: s.machine(),
		LastGood: s.start.LastGood, Site: s.socket(protocol.Site), Options: s.start.Options,
	}
	o.New = s.start.Reason == "" && o.Failure == nil && len(crashes) == 0 && s.start.LastGood == ""
	if o.LastGood != "" && boot.LastGood == o.LastGood {
		o.LastAt = when(boot.LastGoodAt.Wall)
	}
	if o.Failure != nil && o.Failure.InStartup {
		if text, err := s.readStartup(0); err == nil {
			o.Startup, o.Editor = text, true
		}
	}
	title := "Repair"
	if o.New {
		title = "Ready to start"
	}
	v := s.view(r, title, "/")
	v.Notice, v.Problem, v.Hint, v.Body = extra.Notice, extra.Problem, extra.Hint, o
	s.show(w, http.StatusOK, "overview", v)
}

func (s *Server) loginPage(w http.ResponseWriter, r *http.Request, status int, problem string) {
	v := s.view(r, "Log in", "/")
	v.Problem = problem
	if err := s.config.Password.State(); problem == "" && errors.Is(err, password.ErrDamaged) {
		v.Problem = damagedPassword(s.claim)
	}
	v.Body = struct{ Source string }{s.config.Password.Source()}
	s.show(w, status, "login", v)
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if status, problem := s.tryPassword(r, r.PostFormValue("password")); problem != "" {
		s.config.Log.Warn("login refused", "from", password.Source(r), "status", status)
		s.loginPage(w, r, status, problem)
		return
	}
	s.welcome(w, r)
	s.handOver(w, r)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// maxLogin bounds a form with a password, in bytes as it is encoded.
const maxLogin = 16 << 10

func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	for _, c := range r.CookiesNamed(s.config.Password.CookieName("failsafe")) {
		s.sessions.close(c.Value)
	}
	http.SetCookie(w, s.sessionCookie(r, ""))
	http.SetCookie(w, s.config.Password.HandoverCookie(r, ""))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// A claimView is the page of a server without password.
type claimView struct {
	Allowed bool
	Code    string
	File    string
	Damaged bool
}

func (s *Server) claimPage(w http.ResponseWriter, r *http.Request) {
	s.showClaim(w, r, http.StatusOK, "")
}

func (s *Server) showClaim(w http.ResponseWriter, r *http.Request, status int, problem string) {
	if !s.claim.Open() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	c := claimView{Allowed: s.claim.Allowed(r), Code: s.claim.Code(r), File: s.claim.File(), Damaged: s.config.Password.IsSet()}
	v := s.view(r, "Welcome", password.ClaimPath)
	v.Problem, v.Body = problem, c
	if r.URL.Query().Has(password.ClaimParameter) && c.Code == "" && problem == "" {
		v.Problem = "The code in this address is not the right one, or no longer."
	}
	s.show(w, status, "claim", v)
}

func (s *Server) claimServer(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	if !s.claim.Allowed(r) {
		s.showClaim(w, r, http.StatusForbidden, "")
		return
	}
	text := r.PostFormValue("password")
	if again, asked := r.PostForm["again"]; asked && again[0] != text {
		s.showClaim(w, r, http.StatusUnprocessableEntity, "The two passwords differ. Type them again.")
		return
	}
	wasDamaged := s.config.Password.IsSet()
	switch err := s.claim.Set(text); {
	case errors.Is(err, password.ErrClaimed):
		s.loginPage(w, r, http.StatusConflict, "Somebody set a password just before you. Log in with it. If it wasn't you, remove the file "+password.FileName+" from the data folder and start berth again.")
		return
	case errors.Is(err, password.ErrWeak):
		s.showClaim(w, r, http.StatusUnprocessableEntity, capital(err.Error())+".")
		return
	case err != nil:
		s.showClaim(w, r, http.StatusInternalServerError, "The password could not be stored: "+err.Error())
		return
	}
	s.config.Log.Info("the server was claimed", "from", password.Source(r))
	s.welcome(w, r)
	if wasDamaged {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.goOn(w, r, Leave{Code: protocol.ExitNormal}, "The password is set. Your server starts.")
}

// capital begins a text with a capital letter, unless it begins with the name
// of a file.
func capital(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || strings.ContainsAny(first, "/.") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// startServer leaves failsafe mode in the way that the owner chose. It looks at
// nothing before: what can't be started comes back here and says why.
func (s *Server) startServer(w http.ResponseWriter, r *http.Request) {
	l := Leave{Code: protocol.ExitNormal}
	what := "The server starts."
	switch r.PostFormValue("how") {
	case "normal":
	case "debug":
		l.Code, what = protocol.ExitDebug, "The server starts in debug mode."
	case "last-good":
		if s.start.LastGood == "" {
			s.problem(w, r, http.StatusConflict, "There is no last good revision", "None was ever proven on this server. Start normally, or go back to an earlier revision on the page Site.")
			return
		}
		l.Code, what = protocol.ExitLastGood, "The server starts with the last good revision."
	case "without-new":
		l.Options, what = []string{"without-new"}, "The server starts without what was added since the last good revision."
	case "without":
		module := strings.TrimSpace(r.PostFormValue("module"))
		if pkg, version, _ := strings.Cut(module, "@"); pkg == "" || !strings.HasPrefix(version, "v") || len(module) > maxModule || strings.ContainsFunc(module, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			s.problem(w, r, http.StatusUnprocessableEntity, "Say which version of which package is to be left out", "It looks like baz.example/baz@v2.1.0. The page Site lists those that are installed.")
			return
		}
		l.Options, what = []string{"without=" + module}, "The server starts without "+module+"."
	default:
		s.problem(w, r, http.StatusBadRequest, "It is not clear how to start", "Go back and use one of the buttons.")
		return
	}
	s.goOn(w, r, l, what)
}

// maxModule bounds the name of a module, in bytes.
const maxModule = 500

// goOn lets the server leave once the answer is out: a page that waits for the
// next child. The sockets stay open meanwhile, so its next request waits there.
func (s *Server) goOn(w http.ResponseWriter, r *http.Request, l Leave, what string) {
	if s.runner.running() {
		s.problem(w, r, http.StatusConflict, "A repair is still running", "Wait for its end, or cancel it, on its page.")
		return
	}
	s.handOver(w, r)
	v := s.view(r, what, "/")
	v.Token = "" // no menu: nothing of it would be answered
	v.Refresh = "1; url=/"
	if r.TLS != nil && s.config.HTTPS == nil {
		v.Refresh = "4; url=/" // nobody holds that socket meanwhile
	}
	if l.Code == protocol.ExitStop {
		v.Refresh = ""
	}
	v.Body = struct{ Stopping bool }{l.Code == protocol.ExitStop}
	s.left.CompareAndSwap(nil, &v) // or somebody was faster
	s.showLeaving(w)
	s.config.Log.Info("leaving failsafe mode", "code", l.Code, "options", l.Options)
	select {
	case s.leave <- l:
	default:
	}
}

// showLeaving writes the page that waits for the next child.
func (s *Server) showLeaving(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	s.show(w, http.StatusOK, "leaving", *s.left.Load())
	_ = http.NewResponseController(w).Flush() // it comes with the end of the answer otherwise
}

// untilLeft answers every browser with the page that waits, once the server
// leaves. Programs are answered as before: for them nothing is ready yet.
func (s *Server) untilLeft(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		program := r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || strings.HasPrefix(r.URL.Path, "/api/")
		if s.left.Load() != nil && !program {
			s.showLeaving(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) stopServer(w http.ResponseWriter, r *http.Request) {
	s.goOn(w, r, Leave{Code: protocol.ExitStop}, "The server stops.")
}

// report is everything that the page knows, as a text to send to somebody who
// helps.
func (s *Server) report(w http.ResponseWriter, _ *http.Request) {
	boot, crashes, problem := s.records()
	m := s.machine()
	var b strings.Builder
	fmt.Fprintf(&b, "berth %s, failsafe mode\nreason: %s\nattempts: %d\nlast good revision: %s\noptions: %q\ndisk free: %s\nmemory free: %s\n",
		s.config.Version, s.start.Reason, s.start.Attempt, s.start.LastGood, s.start.Options, m.Disk, m.Memory)
	for _, socket := range s.start.Sockets {
		fmt.Fprintf(&b, "socket %s: %s %s\n", socket.Name, socket.Address, socket.Error)
	}
	fmt.Fprintf(&b, "boot record: mode %s, state %s, phase %s, revision %s, started %s\n", boot.Mode, boot.State, boot.Phase, boot.Revision, when(boot.Started.Wall))
	if problem != "" {
		fmt.Fprintln(&b, problem)
	}
	if s.start.Failure != nil {
		fmt.Fprint(&b, "\nwhat led here:\n")
		writeCrash(&b, *s.start.Failure)
	}
	for _, c := range crashes {
		fmt.Fprintf(&b, "\ncrash %d:\n", c.ID)
		writeCrash(&b, c)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="berth-report.txt"`)
	fmt.Fprint(w, record.Redact(b.String()))
}

func writeCrash(b *strings.Builder, c record.Crash) {
	fmt.Fprintf(b, "at %s after %s\nkind %s, code %d, signal %s\nmode %s, state %s, phase %s, revision %s, module %s\n%s\n",
		when(c.At.Wall), c.Lived, c.Kind, c.Code, c.Signal, c.Mode, c.State, c.Phase, c.Revision, c.Module, c.Message)
	for _, part := range []struct{ name, text string }{{"crash output", c.Output}, {"end of stderr", c.Stderr}} {
		if part.text != "" {
			fmt.Fprintf(b, "--- %s\n%s\n", part.name, strings.TrimRight(part.text, "\n"))
		}
	}
}
