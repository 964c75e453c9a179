package site

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BetaParameter is the query parameter of a link to the beta view. Its value
// is a token; "off" leaves the view.
const BetaParameter = "berth-beta"

// Names of the server's own cookies. Guests neither see nor set any whose
// names begin with cookiePrefix.
const (
	cookiePrefix = "berth_"
	ownerCookie  = cookiePrefix + "owner"
	linkCookie   = cookiePrefix + "link_" // with the mount's ID
	shareCookie  = cookiePrefix + "share"
)

// OwnerToken lets its bearer see the beta of every mount, and a closed site.
func OwnerToken(key []byte, expires time.Time) string { return sign(key, ownerCookie, expires) }

// LinkToken lets its bearer see the beta of one mount, if its policy allows links.
func LinkToken(key []byte, mount string, expires time.Time) string {
	return sign(key, linkCookie+mount, expires)
}

// sign returns name.expiry.signature, with the expiry in Unix seconds and an
// HMAC-SHA256 of the rest. The name says what the token is good for.
func sign(key []byte, name string, expires time.Time) string {
	text := name + "." + strconv.FormatInt(expires.Unix(), 10)
	return text + "." + mac(key, text)
}

func mac(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("berth beta: " + text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// verify returns what a token is good for, and until when.
func verify(key []byte, token string) (name string, expires time.Time, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || len(key) == 0 || !hmac.Equal([]byte(mac(key, token[:i])), []byte(token[i+1:])) {
		return "", time.Time{}, false
	}
	name, expiry, _ := strings.Cut(token[:i], ".")
	seconds, err := strconv.ParseInt(expiry, 10, 64)
	expires = time.Unix(seconds, 0)
	return name, expires, err == nil && time.Now().Before(expires)
}

// openBetaLink turns the token of a link into a cookie and sends the visitor
// to the same address without it. It reports whether it has answered.
func (v *visit) openBetaLink() bool {
	r := v.request
	if !strings.Contains(r.URL.RawQuery, BetaParameter+"=") {
		return false
	}
	query := r.URL.Query()
	token := query.Get(BetaParameter)
	query.Del(BetaParameter)
	if token == "off" {
		for _, c := range r.Cookies() {
			if strings.HasPrefix(c.Name, ownerCookie) || strings.HasPrefix(c.Name, linkCookie) {
				http.SetCookie(v.out.ResponseWriter, &http.Cookie{Name: c.Name, Path: "/", MaxAge: -1})
			}
		}
	} else if name, expires, ok := verify(v.table.settings.BetaKey, token); ok {
		http.SetCookie(v.out.ResponseWriter, &http.Cookie{Name: name, Value: token, Path: "/", Expires: expires, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode})
	} else {
		return false // a selector from a stranger is the handler's to read
	}
	target := *r.URL
	target.RawQuery = query.Encode()
	h := v.out.ResponseWriter.Header()
	h.Set("Location", target.RequestURI())
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	v.out.status, v.out.wroteHead = http.StatusSeeOther, true
	v.out.ResponseWriter.WriteHeader(http.StatusSeeOther)
	return true
}

// A view is what a visitor may see, by host name and cookies.
type view struct {
	owner    bool
	betaHost bool
	links    []string // mounts whose links were opened
	own      bool     // the request has cookies of the server's own
	share    int      // where the visitor stands between 0 and 9999; -1: unknown
}

func (v *visit) view(host string) view {
	w := view{betaHost: host != "" && host == v.table.betaHost, share: -1}
	header := v.request.Header["Cookie"]
	if !slices.ContainsFunc(header, func(c string) bool { return strings.Contains(c, cookiePrefix) }) {
		return w
	}
	w.own = true
	for _, c := range v.request.Cookies() {
		if !strings.HasPrefix(c.Name, cookiePrefix) {
			continue
		}
		if c.Name == shareCookie {
			w.share = v.shareOf(c.Value)
			continue
		}
		name, _, ok := verify(v.table.settings.BetaKey, c.Value)
		if !ok || name != c.Name {
			continue
		}
		if mount, isLink := strings.CutPrefix(name, linkCookie); isLink {
			w.links = append(w.links, mount)
		}
		w.owner = w.owner || name == ownerCookie
	}
	return w
}

// choose returns the deployment that answers this visitor, nil for none.
func (v *visit) choose(m *mount, w view) *deployment {
	if m.beta == nil {
		return m.production
	}
	if v.seesBeta(m, w) {
		h := v.out.Header()
		h.Set("Cache-Control", "private, no-store")
		h.Add("Vary", "Cookie")
		return m.beta
	}
	if m.BetaPolicy.Mode == BetaShare && m.production != nil {
		v.out.Header().Add("Vary", "Cookie")
	}
	return m.production
}

func (v *visit) seesBeta(m *mount, w view) bool {
	rank := slices.Index([]BetaMode{BetaOff, BetaOwner, BetaLink, BetaEveryone, BetaShare}, m.BetaPolicy.Mode)
	switch {
	case rank >= 1 && w.owner, rank >= 2 && slices.Contains(w.links, m.ID), rank >= 3 && w.betaHost:
		return true
	case m.BetaPolicy.Mode != BetaShare:
		return false
	}
	if w.share < 0 {
		w.share = v.newShare()
	}
	return w.share < m.BetaPolicy.Percent*100
}

// shareOf reads a share cookie: number.signature. The signature keeps visitors
// from choosing where they stand.
func (v *visit) shareOf(value string) int {
	number, signature, _ := strings.Cut(value, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > 9999 || !hmac.Equal([]byte(mac(v.table.settings.BetaKey, shareCookie+number)), []byte(signature)) {
		return -1
	}
	return n
}

// newShare gives a visitor a place that he keeps: when the share grows, nobody
// flips back.
func (v *visit) newShare() int {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	n := int(binary.LittleEndian.Uint64(b[:]) % 10000)
	number := strconv.Itoa(n)
	http.SetCookie(v.out.ResponseWriter, &http.Cookie{Name: shareCookie, Value: number + "." + mac(v.table.settings.BetaKey, shareCookie+number), Path: "/",
		MaxAge: 365 * 24 * 3600, HttpOnly: true, Secure: v.request.TLS != nil, SameSite: http.SameSiteLaxMode})
	v.out.ownCookies = v.out.Header()["Set-Cookie"]
	return n
}

// stripCookies keeps the server's own cookies from guests.
func (w view) stripCookies(r *http.Request) {
	if !w.own {
		return
	}
	var kept []string
	for _, header := range r.Header["Cookie"] {
		for part := range strings.SplitSeq(header, ";") {
			if part = strings.TrimSpace(part); part != "" && !strings.HasPrefix(part, cookiePrefix) {
				kept = append(kept, part)
			}
		}
	}
	if len(kept) == 0 {
		r.Header.Del("Cookie")
		return
	}
	r.Header["Cookie"] = []string{strings.Join(kept, "; ")}
}

// withoutOwnCookies drops cookies that a guest tries to set in the server's name.
func withoutOwnCookies(cookies []string) []string {
	return slices.DeleteFunc(slices.Clone(cookies), func(c string) bool { return strings.HasPrefix(strings.TrimSpace(c), cookiePrefix) })
}
