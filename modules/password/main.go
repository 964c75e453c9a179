//go:build wasip1

// Command password is a filter that passes on the requests of visitors who
// have entered a password, and asks all others for it. It needs no permission
// and stores nothing: a visitor's browser keeps a signed cookie.
//
// It is an example to begin with, too: a filter decides by the request alone
// whether to call Next or to answer itself.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"html"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	berth "github.com/berth-host/berth/sdk/go"
)

func init() { berth.Handle(guard) }

func main() {}

const (
	cookieName = "visitor-pass"
	formPath   = ".password" // below the mount: where the form is sent
	maxForm    = 4 << 10     // bytes
)

type config struct {
	Password string
	Heading  string
	Days     int
}

func guard(w *berth.Response, r *berth.Request) {
	var c config
	if err := berth.Config(&c); err != nil || c.Password == "" {
		// Without a password nobody gets in: an open door would be worse.
		berth.Log(berth.Error, "there is no password in the configuration")
		w.SetStatus(503)
		w.WriteString("This page cannot be shown at the moment.\n")
		return
	}
	base := strings.TrimSuffix(berth.Mount(), "/") + "/"
	switch {
	case r.Method() == "POST" && r.Path() == base+formPath:
		enter(w, r, &c, base)
	case hasPass(r, &c):
		w.Next()
	case r.Method() == "GET" || r.Method() == "HEAD":
		ask(w, &c, base, r.URI(), "")
	default:
		w.SetStatus(401)
		w.SetHeader("Content-Type", "text/plain; charset=utf-8")
		w.WriteString("A password is needed: open this address in a browser.\n")
	}
}

// hasPass looks for a cookie that enter has given, in whatever place.
func hasPass(r *berth.Request, c *config) bool {
	for name, value := range r.Headers() {
		if !strings.EqualFold(name, "Cookie") {
			continue
		}
		for pair := range strings.SplitSeq(value, ";") {
			pass, ok := strings.CutPrefix(strings.TrimSpace(pair), cookieName+"=")
			if ok && isPass(pass, c.Password, time.Now()) {
				return true
			}
		}
	}
	return false
}

// A pass is the time at which it ends, and a signature that only who knows the
// password can make.
func newPass(password string, ends time.Time) string {
	text := strconv.FormatInt(ends.Unix(), 10)
	return text + "." + sign(password, text)
}

func isPass(pass, password string, now time.Time) bool {
	text, signature, ok := strings.Cut(pass, ".")
	ends, err := strconv.ParseInt(text, 10, 64)
	return ok && err == nil && now.Unix() < ends && hmac.Equal([]byte(signature), []byte(sign(password, text)))
}

func sign(password, text string) string {
	mac := hmac.New(sha256.New, []byte("pass of berth.invalid/password\x00"+password))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// enter takes the password from the form.
func enter(w *berth.Response, r *berth.Request, c *config, base string) {
	body, err := io.ReadAll(io.LimitReader(r.Body(), maxForm))
	form, errForm := url.ParseQuery(string(body))
	if err != nil || errForm != nil {
		ask(w, c, base, base, "The form did not arrive. Please try again.")
		return
	}
	back := ownPath(form.Get("back"), base)
	given, want := sha256.Sum256([]byte(form.Get("password"))), sha256.Sum256([]byte(c.Password))
	if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		ask(w, c, base, back, "That is not the password.")
		return
	}
	age := time.Duration(max(c.Days, 1)) * 24 * time.Hour
	w.SetStatus(303)
	w.SetHeader("Location", back)
	w.SetHeader("Set-Cookie", cookieName+"="+newPass(c.Password, time.Now().Add(age))+"; Path="+base+"; Max-Age="+strconv.Itoa(int(age.Seconds()))+"; HttpOnly; SameSite=Lax")
	w.SetHeader("Cache-Control", "no-store")
}

// ownPath returns a path below the mount, and never an address elsewhere.
func ownPath(path, base string) string {
	if !strings.HasPrefix(path+"/", base) || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return base
	}
	return path
}

// ask shows the form.
func ask(w *berth.Response, c *config, base, back, problem string) {
	w.SetStatus(401)
	w.SetHeader("Content-Type", "text/html; charset=utf-8")
	w.SetHeader("Cache-Control", "no-store")
	w.SetHeader("Referrer-Policy", "same-origin")
	w.SetHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	w.WriteString(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>` + html.EscapeString(c.Heading) + `</title>
<style>
:root { color-scheme: light dark; font: 100%/1.5 system-ui, sans-serif; }
body { min-height: 90vh; display: grid; place-content: center; margin: 1rem; }
form { display: grid; gap: .75rem; width: min(20rem, 88vw); }
h1 { font-size: 1.5rem; margin: 0; }
input, button { font: inherit; padding: .6rem .75rem; border: 1px solid light-dark(#6b7280, #9ca3af); border-radius: .5rem; }
button { background: light-dark(#1d4ed8, #93c5fd); color: light-dark(#fff, #0b1220); border-color: transparent; cursor: pointer; }
p { margin: 0; color: light-dark(#b91c1c, #fca5a5); }
</style>
<main>
<form method="post" action="` + html.EscapeString(base+formPath) + `">
<h1>` + html.EscapeString(c.Heading) + "</h1>\n")
	if problem != "" {
		w.WriteString(`<p role="alert">` + html.EscapeString(problem) + "</p>\n")
	}
	w.WriteString(`<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="back" value="` + html.EscapeString(back) + `">
<button>Enter</button>
</form>
</main>
</html>
`)
}
