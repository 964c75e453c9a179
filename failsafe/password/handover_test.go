package password

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var key = bytes.Repeat([]byte{7}, 32)

func TestHandover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := owner(t, right)
		token := o.Handover(key)
		good := func(o *Owner, key []byte, token string) bool {
			_, ok := o.HandoverIssued(key, token)
			return ok
		}
		next := In(o.folder) // the next child of the same wrapper
		if !good(next, key, token) {
			t.Fatal("the next child does not know its owner")
		}
		if strings.Contains(token, right) || o.Handover(nil) != "" || owner(t, "").Handover(key) != "" {
			t.Error("a token without key or without password, or one that tells it")
		}
		for name, bad := range map[string]string{
			"":                    "",
			"other version":       "h2" + token[2:],
			"no signature":        token[:strings.LastIndex(token, ".")],
			"another time":        token[:3] + "8" + token[4:],
			"another signature":   token[:len(token)-2] + "AA",
			"more behind":         token + "A",
			"of the future":       o.handoverAt(key, time.Now().Add(2*time.Minute)),
			"of another password": owner(t, "some other password").Handover(key),
			"of another wrapper":  o.Handover(bytes.Repeat([]byte{8}, 32)),
		} {
			if good(o, key, bad) {
				t.Errorf("%s: %q is accepted", name, bad)
			}
		}
		time.Sleep(HandoverLifetime - time.Second)
		if !good(o, key, token) {
			t.Error("refused before its time is over")
		}
		time.Sleep(time.Second)
		if good(o, key, token) {
			t.Error("accepted after its time is over")
		}
		token = o.Handover(key)
		if err := o.Set("a second good one"); err != nil {
			t.Fatal(err)
		}
		if good(next, key, token) {
			t.Error("accepted though the password was changed")
		}
	})
}

func TestHandoverOfGiven(t *testing.T) {
	o, next, other := owner(t, ""), owner(t, ""), owner(t, "")
	o.Use(right, "a file")
	next.Use(right, "the environment")
	other.Use("some other password", "a file")
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: next.CookieName("handover"), Value: o.Handover(key)})
	if !next.HandedOver(key, r) {
		t.Error("the next child with the same password does not know its owner")
	}
	r.Header.Set("Cookie", other.CookieName("handover")+"="+o.Handover(key))
	if other.HandedOver(key, r) {
		t.Error("a child with another password accepts the token")
	}
}

func TestHandoverCookie(t *testing.T) {
	o := owner(t, right)
	c := o.HandoverCookie(httptest.NewRequest("GET", "https://berth.example/", nil), o.Handover(key))
	if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || !strings.HasPrefix(c.Name, "berth-handover-") || c.Valid() != nil {
		t.Errorf("the cookie is %+v", c)
	}
	if gone := o.HandoverCookie(httptest.NewRequest("GET", "/", nil), ""); gone.MaxAge >= 0 || gone.Secure {
		t.Errorf("the cookie that removes it is %+v", gone)
	}
	if a, b := In("/srv/a").CookieName("x"), In("/srv/b").CookieName("x"); a == b {
		t.Errorf("two servers on one machine have the same cookie %s", a)
	}
}

func FuzzHandover(f *testing.F) {
	dir := f.TempDir()
	o := In(dir)
	o.costs = leastCosts
	if err := o.Set(right); err != nil {
		f.Fatal(err)
	}
	good := o.Handover(key)
	f.Add(good)
	f.Add("h1.-1.")
	f.Add("h1.99999999999999999999.AAAA")
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok := o.HandoverIssued(key, token); ok && token != good {
			t.Errorf("%q is accepted", token)
		}
	})
}
