package httphandler

import (
	"net/http"

	berth "github.com/berth-host/berth/sdk/go"
)

// Handle says what answers requests. Call it in an init function.
func Handle(h http.Handler) {
	berth.Handle(func(w *berth.Response, r *berth.Request) {
		serve(h, w, r, func(message string) { berth.Log(berth.Error, message) })
	})
}
