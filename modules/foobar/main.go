//go:build wasip1

// Command foobar says what is in the bar, asks Baz for it, and counts visits.
package main

import (
	"errors"
	"html"
	"io"
	"strconv"
	"strings"

	berth "github.com/berth-host/berth/sdk/go"
)

func init() { berth.Handle(serve) }

func main() {}

func serve(w *berth.Response, r *berth.Request) {
	if strings.HasSuffix(r.Path(), "/healthz") {
		w.WriteString("ok\n")
		return
	}
	var config struct{ Greeting, SiteName string }
	if err := berth.Config(&config); err != nil {
		berth.Log(berth.Error, "configuration: "+err.Error())
	}
	base := strings.TrimSuffix(berth.Mount(), "/")
	w.SetHeader("Content-Type", "text/html; charset=utf-8")
	w.WriteString("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>Foobar</title>\n<link rel=\"stylesheet\" href=\"" + base + "/static/style.css\">\n")
	w.WriteString("<h1>" + html.EscapeString(config.Greeting))
	if config.SiteName != "" {
		w.WriteString(" from " + html.EscapeString(config.SiteName))
	}
	w.WriteString("</h1>\n<p>Foobar 3.5 with " + html.EscapeString(askBaz()) + ".</p>\n<p>" + html.EscapeString(count()) + "</p>\n</html>\n")
}

func askBaz() string {
	answer, err := berth.Call("baz", berth.Outgoing{Target: "/"})
	if err != nil {
		return "no Baz (" + err.Error() + ")"
	}
	defer answer.Close()
	b, err := io.ReadAll(io.LimitReader(answer, 1<<10))
	if err != nil {
		return "no Baz (" + err.Error() + ")"
	}
	return strings.TrimSpace(string(b))
}

// count raises the visit counter. Another instance may do so at the same time:
// who loses tries again.
func count() string {
	for {
		value, revision, err := berth.Get("visits")
		if errors.Is(err, berth.ErrDenied) {
			return "Visits are not counted: the owner has not granted data."
		}
		n, _ := strconv.Atoi(string(value)) // absent: 0
		n++
		if _, err := berth.Put("visits", []byte(strconv.Itoa(n)), revision); errors.Is(err, berth.ErrConflict) {
			continue
		} else if err != nil {
			return "Visits cannot be counted: " + err.Error()
		}
		return "This is visit number " + strconv.Itoa(n) + "."
	}
}
