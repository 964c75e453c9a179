//go:build wasip1

// Command guest answers with a router of net/http, for a test.
package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/berth-host/berth/sdk/go/httphandler"
)

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Query", r.URL.Query().Get("q"))
		fmt.Fprintf(w, "hello %s of %s", r.PathValue("name"), r.Host)
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		_, _ = io.WriteString(w, "abc")
		_, _ = io.WriteString(w, "d") // is refused
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("as it was asked") })
	httphandler.Handle(mux)
}

func main() {}
