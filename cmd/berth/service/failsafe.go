package service

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/console/client"
)

func runFailsafe(ctx context.Context, c Config, child *protocol.Child) int {
	_ = os.Remove(filepath.Join(c.Data, client.AccessFile)) // of a server that crashed
	code := make(chan int, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "<!doctype html><title>berth failsafe</title><p>Nothing was deleted.<p>%s", html.EscapeString(child.Start().Reason))
	})
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		select {
		case code <- protocol.ExitNormal:
		default:
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(child.Listener(protocol.Console))
	if l := child.Listener(protocol.Site); l != nil {
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
	}
	child.Phase(protocol.Report{Phase: protocol.PhaseServe})
	child.Good()
	go child.Heartbeat(ctx, func(context.Context) error { return nil })
	select {
	case <-ctx.Done():
		return 0
	case n := <-code:
		_ = server.Shutdown(ctx)
		return n
	}
}
