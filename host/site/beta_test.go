package site

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func betaSite(t testing.TB, policy BetaPolicy) *Site {
	m := mountAt("/", deploy(guest(t, "production")))
	m.Beta, m.BetaPolicy = deploy(guest(t, "beta")), policy
	return newSite(t, Options{}, m, mountAt("/ordinary", deploy(guest(t, "plain"))))
}

func TestWhoSeesTheBeta(t *testing.T) {
	hour := time.Now().Add(time.Hour)
	cookies := map[string]string{
		"stranger":      "",
		"owner":         OwnerToken(testKey, hour),
		"link":          LinkToken(testKey, "mount /", hour),
		"other link":    LinkToken(testKey, "mount /ordinary", hour),
		"both":          LinkToken(testKey, "mount /ordinary", hour) + tokenSeparator + LinkToken(testKey, "mount /", hour),
		"expired owner": OwnerToken(testKey, time.Now().Add(-time.Second)),
		"foreign key":   OwnerToken([]byte("another key"), hour),
		"no key":        OwnerToken(nil, hour),
		"guess":         "owner",
		"damaged":       strings.Replace(OwnerToken(testKey, hour), "b", "c", 1),
	}
	// A link's text with the signature of an owner's.
	text, _, _ := strings.Cut(OwnerToken(testKey, hour), ".")
	_, signature, _ := strings.Cut(LinkToken(testKey, "mount /", hour), ".")
	cookies["mixed"] = text + "." + signature
	sees := map[BetaMode]string{ // who sees the beta, on the site's host and on the beta host
		"":           "owner / owner",
		BetaOff:      " / ",
		BetaOwner:    "owner / owner",
		BetaLink:     "both link owner / both link owner",
		BetaEveryone: "both link owner / all",
	}
	for mode, want := range sees {
		v := visitorOf(t, betaSite(t, BetaPolicy{Mode: mode}))
		site, beta, _ := strings.Cut(want, " / ")
		for who, cookie := range cookies {
			for host, list := range map[string]string{"site.example": site, "beta.site.example:8080": beta} {
				want := "production"
				if list == "all" || list != "" && slicesContainsWord(list, who) {
					want = "beta"
				}
				got := v.get("/", "Host: "+host, "Cookie: "+betaCookie+"="+cookie)
				if got.status != 200 || got.body != want {
					t.Errorf("mode %q, %s on %s: %d %q, want %q", mode, who, host, got.status, got.body, want)
				}
				v.get("/ordinary", "Host: "+host, "Cookie: "+betaCookie+"="+cookie).want(t, 200, "plain")
			}
		}
	}
}

func slicesContainsWord(list, word string) bool {
	return strings.Contains(" "+list+" ", " "+word+" ")
}

func TestBetaHost(t *testing.T) {
	s := betaSite(t, BetaPolicy{Mode: BetaEveryone})
	m := Mount{ID: "named", Host: "site.example", Path: "/named", Production: deploy(guest(t, "named")), Beta: deploy(guest(t, "named beta")), BetaPolicy: BetaPolicy{Mode: BetaEveryone}}
	apply(t, s, Change{Put: []Mount{m}})
	v := visitorOf(t, s)
	v.get("/named", "Host: beta.site.example").want(t, 200, "named beta")
	v.get("/named", "Host: site.example").want(t, 200, "named")
	apply(t, s, Change{Settings: &Settings{Open: true, Host: "site.example", BetaHost: "preview.example"}})
	v.get("/named", "Host: preview.example").want(t, 200, "named beta")
	if got := v.get("/named", "Host: beta.site.example"); got.status != 200 || got.body != "production" {
		t.Errorf("the beta host of before: %d %q", got.status, got.body)
	}
}

func TestTokenInTheAddress(t *testing.T) {
	v := visitorOf(t, betaSite(t, BetaPolicy{Mode: BetaLink}))
	hour := time.Now().Add(time.Hour)
	cookieOf := func(got reply) string {
		cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
		if err != nil {
			t.Fatalf("%v: %v", err, got.header)
		}
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Name != betaCookie {
			t.Errorf("cookie %+v", cookie)
		}
		return cookie.Value
	}
	got := v.get("/ordinary/x?a=1&" + BetaParameter + "=" + LinkToken(testKey, "mount /", hour) + "&b=%20")
	if got.status != 303 || got.header.Get("Location") != "/ordinary/x?a=1&b=%20" || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v", got.status, got.header)
	}
	first := cookieOf(got)
	v.get("/", "Cookie: "+betaCookie+"="+first).want(t, 200, "beta")

	// A second link adds to the first.
	got = v.get("/?"+BetaParameter+"="+LinkToken(testKey, "mount /ordinary", hour), "Cookie: "+betaCookie+"="+first)
	if second := cookieOf(got); !strings.HasSuffix(second, tokenSeparator+first) || got.header.Get("Location") != "/" {
		t.Errorf("%q after %q: %v", second, first, got.header)
	}
	// So does any number, up to a limit.
	kept := first
	for i := range 2 * maxTokens {
		kept = cookieOf(v.get("/?"+BetaParameter+"="+LinkToken(testKey, fmt.Sprint(i), hour), "Cookie: "+betaCookie+"="+kept))
	}
	if n := strings.Count(kept, tokenSeparator) + 1; n != maxTokens {
		t.Errorf("%d tokens in one cookie", n)
	}
	for _, bad := range []string{"forged", "", LinkToken(testKey, "mount /", time.Now().Add(-time.Second)), "%zz"} {
		got := v.get("/?" + BetaParameter + "=" + bad)
		if got.status != 303 || got.header.Get("Location") != "/" || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %v", bad, got.status, got.header)
		}
	}
	got = v.get("/?"+BetaParameter+"=off", "Cookie: "+betaCookie+"="+first)
	if line := got.header.Get("Set-Cookie"); !strings.Contains(line, "Max-Age=0") || got.status != 303 {
		t.Errorf("off: %d %q", got.status, line)
	}
	v.ask("POST", "/?"+BetaParameter+"=forged", nil).want(t, 200, "production")
	v.get("/u?x="+BetaParameter).want(t, 200, "/u?x="+BetaParameter)
}

func TestShare(t *testing.T) {
	s := betaSite(t, BetaPolicy{Mode: BetaShare, Percent: 10})
	v := visitorOf(t, s)
	const visitors = 400
	cookies := make([]string, visitors)
	before := make([]string, visitors)
	betas := 0
	for i := range cookies {
		got := v.get("/")
		cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
		if err != nil || cookie.Name != shareCookie || got.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%v %v", err, got.header)
		}
		cookies[i], before[i] = "Cookie: "+shareCookie+"="+cookie.Value, got.body
		if got.body == "beta" {
			betas++
		}
	}
	if betas < 10 || betas > 90 { // 40 expected, with a standard deviation of 6
		t.Errorf("%d of %d visitors see a share of 10 %%", betas, visitors)
	}
	m := mountAt("/", deploy(guest(t, "production")))
	m.Beta = deploy(guest(t, "beta"))
	for _, percent := range []int{10, 50, 100} {
		m.BetaPolicy = BetaPolicy{Mode: BetaShare, Percent: percent}
		apply(t, s, Change{Put: []Mount{m}})
		for i, cookie := range cookies {
			got := v.get("/", cookie)
			if got.header.Get("Set-Cookie") != "" || got.header.Get("Vary") != "Cookie" {
				t.Fatalf("asked again: %v", got.header)
			}
			if before[i] == "beta" && got.body != "beta" || percent == 10 && got.body != before[i] || percent == 100 && got.body != "beta" {
				t.Errorf("at %d %%, a visitor who saw %s sees %s", percent, before[i], got.body)
			}
			before[i] = got.body
		}
	}
	m.BetaPolicy = BetaPolicy{Mode: BetaShare, Percent: 0}
	apply(t, s, Change{Put: []Mount{m}})
	v.get("/", cookies[0]).want(t, 200, "production")
	v.get("/", "Host: beta.site.example").want(t, 200, "beta")
	// Numbers that visitors make up are not taken.
	forged := seal([]byte("another key"), shareContext, make([]byte, 8))
	if got := v.get("/", "Cookie: "+shareCookie+"="+forged); got.header.Get("Set-Cookie") == "" {
		t.Error("a forged number was taken")
	}
	if got := v.get("/", "Cookie: "+shareCookie+"="+OwnerToken(testKey, time.Now().Add(time.Hour))); got.header.Get("Set-Cookie") == "" {
		t.Error("a token passes for a number")
	}
}

func TestCaching(t *testing.T) {
	owner := "Cookie: " + betaCookie + "=" + OwnerToken(testKey, time.Now().Add(time.Hour))
	v := visitorOf(t, betaSite(t, BetaPolicy{Mode: BetaEveryone}))
	for _, test := range []struct{ name, path, field, cache, vary string }{
		{"production", "/", "Accept: x", "", ""},
		{"beta by cookie", "/", owner, "no-store", "Cookie"},
		{"beta by host", "/", "Host: beta.site.example", "", ""},
		{"no beta here", "/ordinary", owner, "", ""},
	} {
		got := v.get(test.path, test.field)
		if got.header.Get("Cache-Control") != test.cache || got.header.Get("Vary") != test.vary {
			t.Errorf("%s: %v", test.name, got.header)
		}
	}
}

func FuzzOpenToken(f *testing.F) {
	f.Add(OwnerToken(testKey, time.Unix(1<<40, 0)))
	f.Add(LinkToken(testKey, "m", time.Unix(1<<40, 0)))
	f.Add("a.b")
	valid := OwnerToken(testKey, time.Unix(1<<40, 0))
	link := LinkToken(testKey, "m", time.Unix(1<<40, 0))
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := openToken(testKey, text, time.Unix(0, 0)); ok && text != valid && text != link {
			t.Errorf("%q is a token", text)
		}
	})
}

func FuzzTakeCookies(f *testing.F) {
	f.Add("a=1; berth-beta=x; b=2")
	f.Add("berth-beta;;=;berth-beta =\"x\"")
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cookie": {line}}
		takeCookies(h, betaCookie)
		r := http.Request{Header: h}
		if c, err := r.Cookie(betaCookie); err == nil {
			t.Errorf("%q leaves %v", line, c)
		}
		dropReserved(h)
		for _, c := range r.Cookies() {
			if isReserved(c.Name) {
				t.Errorf("%q leaves %v", line, c)
			}
		}
	})
}

// TestReservedCookies asks that guests neither see the console's cookies, which
// browsers send to all ports of a host, nor set one.
func TestReservedCookies(t *testing.T) {
	h := http.Header{"Cookie": {"a=1; berth-session-0123abcd=secret; b=2", "__Host-berth-session=secret", "berth-theme=dark; my-berth-is=mine; __Host-own=1"}}
	dropReserved(h)
	if got := strings.Join(h["Cookie"], " | "); got != "a=1; b=2 | my-berth-is=mine; __Host-own=1" {
		t.Errorf("guests see %q", got)
	}
	for line, reserved := range map[string]bool{
		"berth-session-0123abcd=x; Path=/": true, "__Host-berth-session=x; Secure; Path=/": true, " berth-beta =x": true,
		"session=x": false, "my-berth-is=x": false, "__Host-own=x": false,
	} {
		if isSiteCookie(line) != reserved {
			t.Errorf("%q: reserved is %t", line, !reserved)
		}
	}
}
