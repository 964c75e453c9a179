package server

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/berth-host/berth/failsafe/password"
	"github.com/berth-host/berth/failsafe/record"
)

// routes is everything that the console answers in failsafe mode.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET "+password.ClaimPath, s.claimPage)
	mux.HandleFunc("POST "+password.ClaimPath, s.claimServer)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.owner(s.logout))

	mux.HandleFunc("POST /start", s.owner(s.startServer))
	mux.HandleFunc("POST /stop", s.owner(s.stopServer))
	mux.HandleFunc("GET /report", s.owner(s.report))

	mux.HandleFunc("GET /startup", s.owner(s.startupPage))
	mux.HandleFunc("POST /startup", s.owner(s.editStartup))
	mux.HandleFunc("GET /site", s.owner(s.sitePage))
	mux.HandleFunc("GET /store", s.owner(s.storePage))
	mux.HandleFunc("GET /access", s.owner(s.accessPage))
	mux.HandleFunc("POST /access/password", s.owner(s.changePassword))
	mux.HandleFunc("POST /access/port", s.owner(s.changePort))
	mux.HandleFunc("GET /commands", s.owner(s.commandsPage))

	mux.HandleFunc("POST /run", s.owner(s.runCommand))
	mux.HandleFunc("POST /upload", s.owner(s.upload))
	mux.HandleFunc("POST /backup", s.owner(s.downloadBackup))
	mux.HandleFunc("GET /job", s.owner(s.jobPage))
	mux.HandleFunc("POST /job/cancel", s.owner(s.cancelJob))

	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusServiceUnavailable, "berth is in failsafe mode")
	})
	mux.HandleFunc("/api/", noAPI)
	mux.HandleFunc("/", s.elsewhere)

	return s.recoverPanics(secureHeaders(s.checkHost(http.NewCrossOriginProtection().Handler(s.withSession(s.untilLeft(mux))))))
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}

// noAPI tells programs, in the form of the API's errors.
func noAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "30")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintln(w, `{"error":{"code":"failsafe","message":"the server is in failsafe mode and has no API","hint":"open the console in a browser: its page tells what broke and repairs it"}}`)
}

// elsewhere brings who reloads a page of the console to ours.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	plain(w, http.StatusNotFound, "berth is in failsafe mode: there is only the page /")
}

// recoverPanics turns a fault of one page into an answer of that page.
func (s *Server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.config.Log.Error("panic in a page of failsafe mode", "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			plain(w, http.StatusInternalServerError, "This page of failsafe mode has a fault itself: "+record.Redact(fmt.Sprint(p))+"\nThe page / may still work.")
		}()
		next.ServeHTTP(w, r)
	})
}
