package site

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Cookies of the site itself. Guests neither see nor set any that begins so,
// which are the console's too.
const (
	cookiePrefix = "berth-"
	betaCookie   = BetaParameter // tokens, joined with tokenSeparator
	shareCookie  = "berth-share"
)

const (
	tokenSeparator = "~"
	maxTokens      = 8 // that one browser keeps, the newest ones
	shareAge       = 365 * 24 * time.Hour
)

// A viewer is what a request says, provably, about who asks.
type viewer struct {
	onBetaHost bool
	owner      bool
	links      []string // IDs of mounts
	share      shareNumber
	hasShare   bool
}

// viewer reads who asks, and takes the site's own cookies out of the request.
func (g *generation) viewer(r *http.Request) viewer {
	v := viewer{onBetaHost: g.betaHost != "" && hostOf(r) == g.betaHost}
	if r.Header["Cookie"] == nil {
		return v
	}
	now := time.Now()
	for _, tokenText := range takeCookies(r.Header, betaCookie) {
		for _, t := range openTokens(g.settings.BetaKey, tokenText, now) {
			if t.owner {
				v.owner = true
			} else {
				v.links = append(v.links, t.mount)
			}
		}
	}
	for _, sealed := range takeCookies(r.Header, shareCookie) {
		if n, ok := openShare(g.settings.BetaKey, sealed); ok {
			v.share, v.hasShare = n, true
		}
	}
	dropReserved(r.Header)
	return v
}

func openTokens(key []byte, joined string, now time.Time) []token {
	var valid []token
	for sealed := range strings.SplitSeq(joined, tokenSeparator) {
		if t, ok := openToken(key, sealed, now); ok && len(valid) < maxTokens {
			valid = append(valid, t)
		}
	}
	return valid
}

// takeCookies removes a cookie from the header and returns its values.
func takeCookies(h http.Header, name string) (values []string) {
	if !slices.ContainsFunc(h["Cookie"], func(line string) bool { return strings.Contains(line, name) }) {
		return nil
	}
	keepCookies(h, func(key, value string) bool {
		if key == name {
			values = append(values, value)
		}
		return key != name
	})
	return values
}

// dropReserved removes what guests must not see: browsers send the cookies of
// a host to all its ports, and so the console's to the site.
func dropReserved(h http.Header) {
	if slices.ContainsFunc(h["Cookie"], func(line string) bool { return strings.Contains(line, cookiePrefix) }) {
		keepCookies(h, func(key, _ string) bool { return !isReserved(key) })
	}
}

// isReserved reports whether a cookie of that name belongs to berth: to the
// site itself, or to the console.
func isReserved(name string) bool {
	return strings.HasPrefix(strings.TrimPrefix(name, "__Host-"), cookiePrefix)
}

// keepCookies removes all cookies from the header but those that keep wants.
func keepCookies(h http.Header, keep func(name, value string) bool) {
	lines := h["Cookie"]
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		var others []string
		for pair := range strings.SplitSeq(line, ";") {
			pair = textproto.TrimString(pair)
			key, value, _ := strings.Cut(pair, "=")
			if pair != "" && keep(textproto.TrimString(key), strings.Trim(value, " \t\"")) {
				others = append(others, pair)
			}
		}
		if others != nil {
			kept = append(kept, strings.Join(others, "; "))
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = kept
	}
}

// choose returns the slot of m for a viewer. A visitor that must be drawn to
// be or not to be in a share gets a number, whose sealed form is returned to
// be kept in a cookie.
func (v *viewer) choose(m *mount, key []byte) (slot Slot, newShareCookie string) {
	if m.beta == nil || m.BetaPolicy.Mode == BetaOff {
		return Production, ""
	}
	if v.owner {
		return Beta, ""
	}
	mode := m.BetaPolicy.Mode
	byLink := mode == BetaLink || mode == BetaEveryone || mode == BetaShare
	if byLink && slices.Contains(v.links, m.ID) {
		return Beta, ""
	}
	if v.onBetaHost && (mode == BetaEveryone || mode == BetaShare) {
		return Beta, ""
	}
	if mode != BetaShare || len(key) == 0 {
		return Production, ""
	}
	if !v.hasShare {
		v.share, newShareCookie = newShare(key)
		v.hasShare = true
	}
	if v.share.within(m.BetaPolicy.Percent) {
		return Beta, newShareCookie
	}
	return Production, newShareCookie
}

// dependence reports whether the answer for a mount depends on cookies, and
// whether it is for this visitor only.
func (v *viewer) dependence(m *mount, slot Slot) (byCookie, private bool) {
	mode := m.BetaPolicy.Mode
	if m.beta == nil || v.onBetaHost && (mode == BetaEveryone || mode == BetaShare) {
		return false, false
	}
	return slot == Beta || mode == BetaShare, slot == Beta
}

// takeToken recognises a request that carries a token in its address. The
// browser is to keep the cookie, which is "" for a token that is not valid, and
// to go on with what is left of the query.
func (g *generation) takeToken(r *http.Request) (query, cookie string, ok bool) {
	if !strings.Contains(r.URL.RawQuery, BetaParameter) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", "", false
	}
	query, values := cutQuery(r.URL.RawQuery, BetaParameter)
	if values == nil {
		return "", "", false
	}
	now, given := time.Now(), values[0]
	if given == "off" {
		return query, siteCookie(r, betaCookie, "", now, now), true
	}
	key := g.settings.BetaKey
	t, valid := openToken(key, given, now)
	if !valid {
		return query, "", true
	}
	kept, until := []string{given}, t.expires
	for _, joined := range takeCookies(r.Header, betaCookie) {
		for old := range strings.SplitSeq(joined, tokenSeparator) {
			if t, valid := openToken(key, old, now); valid && len(kept) < maxTokens && !slices.Contains(kept, old) {
				kept = append(kept, old)
				until = later(until, t.expires)
			}
		}
	}
	return query, siteCookie(r, betaCookie, strings.Join(kept, tokenSeparator), now, until), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// cutQuery takes a parameter out of a query and leaves the rest as it is.
func cutQuery(query, name string) (rest string, values []string) {
	var others []string
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key != name {
			others = append(others, pair)
			continue
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = ""
		}
		values = append(values, plain)
	}
	return strings.Join(others, "&"), values
}

// siteCookie returns a cookie of the site itself; one without a value is to be
// forgotten.
func siteCookie(r *http.Request, name, value string, now, expires time.Time) string {
	c := http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil, MaxAge: -1}
	if value != "" {
		c.MaxAge = max(1, int(expires.Sub(now)/time.Second))
	}
	return c.String()
}

// isSiteCookie reports whether a Set-Cookie line sets a cookie that is reserved.
func isSiteCookie(line string) bool {
	name, _, _ := strings.Cut(line, "=")
	return isReserved(strings.TrimSpace(name))
}
