package password

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// HandoverLifetime is how long a handover token is good for. Who holds a
// session renews it well before.
const HandoverLifetime = 15 * time.Minute

// handoverVersion begins a token.
const handoverVersion = "h1"

// futureTolerance is how far the wall clock may go back between two processes.
const futureTolerance = time.Minute

// Handover returns a token by which the next child of the same wrapper knows
// that its bearer is logged in: failsafe mode hands its owner over to the
// console and back, without a second login. The key is the one that the
// wrapper gives to each of its children. The token dies with it, with the
// password, and after [HandoverLifetime]. It is "" without key or password.
//
// A token is as good as the password while it lasts: it goes into a cookie
// made by [Owner.HandoverCookie] and nowhere else.
func (o *Owner) Handover(key []byte) string {
	return o.handoverAt(key, time.Now())
}

func (o *Owner) handoverAt(key []byte, issued time.Time) string {
	head := handoverVersion + "." + strconv.FormatInt(issued.Unix(), 10)
	sum := o.handoverSum(key, head)
	if sum == nil {
		return ""
	}
	return head + "." + base64.RawURLEncoding.EncodeToString(sum)
}

// HandoverIssued returns when a token was issued, and whether it is good now.
func (o *Owner) HandoverIssued(key []byte, token string) (issued time.Time, ok bool) {
	head, text, ok := cutLast(token, ".")
	digits, isVersion := strings.CutPrefix(head, handoverVersion+".")
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if !ok || !isVersion || err != nil {
		return time.Time{}, false
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return time.Time{}, false
	}
	if want := o.handoverSum(key, head); want == nil || !hmac.Equal(sum, want) {
		return time.Time{}, false
	}
	issued = time.Unix(seconds, 0)
	age := time.Since(issued)
	return issued, -futureTolerance <= age && age < HandoverLifetime
}

// handoverSum signs with a key that depends on the password, so that a token
// says nothing about it and dies with it.
func (o *Owner) handoverSum(key []byte, head string) []byte {
	if len(key) < 16 { // no wrapper
		return nil
	}
	var material string
	if g := o.outside(); g != nil {
		material = "given " + string(g.sum[:])
	} else {
		_, text, err := o.stored()
		if err != nil {
			return nil
		}
		material = "stored " + text
	}
	return mac(mac(key, "berth handover "+material), head)
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// HandoverCookie returns the cookie for a token, or, for "", the one that
// removes it. Whether it is secure follows the connection.
func (o *Owner) HandoverCookie(r *http.Request, token string) *http.Cookie {
	c := &http.Cookie{
		Name: o.CookieName("handover"), Value: token, Path: "/",
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
		MaxAge: int(HandoverLifetime / time.Second),
	}
	if token == "" {
		c.MaxAge = -1
	}
	return c
}

// HandedOver reports whether a request has a good handover token.
func (o *Owner) HandedOver(key []byte, r *http.Request) bool {
	for _, c := range r.CookiesNamed(o.CookieName("handover")) {
		if _, ok := o.HandoverIssued(key, c.Value); ok {
			return true
		}
	}
	return false
}

// CookieName returns the name of a cookie of this server. Browsers send the
// cookies of all ports of a host to each of them, so two servers on one
// machine need different ones. Names that begin with "berth-" are kept from
// guests.
func (o *Owner) CookieName(what string) string {
	path, err := filepath.Abs(o.folder)
	if err != nil {
		path = o.folder
	}
	sum := sha256.Sum256([]byte(path))
	return "berth-" + what + "-" + hex.EncodeToString(sum[:4])
}
