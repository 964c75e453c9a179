package journeys

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/berth-host/berth/host/console/api"
)

// TestPasskey makes a passkey on a device that Chromium plays, logs in by it,
// and takes it away.
func TestPasskey(t *testing.T) {
	j := newJourney(t)
	j.console = strings.Replace(j.console, "127.0.0.1", "localhost", 1)
	j.login()
	j.run(webauthn.Enable(), chromedp.ActionFunc(addAuthenticator))
	j.open("/access")
	j.click("New passkey")
	j.audit("passkey-new")
	j.fill("#name", "laptop <1>")
	j.submit("#passkey-new")
	j.sees("not used yet")
	j.sees("laptop <1>")
	j.audit("passkeys")
	j.run(chromedp.ActionFunc(clearCookies))

	j.open("/access")
	j.sees("Log in by a passkey")
	j.audit("login-passkey")
	j.click("Log in by a passkey")
	j.sees("last used")
	j.open("/access/audit")
	j.sees("Log in by the passkey laptop <1>")
	var entries []api.AuditEntry
	j.api("GET", "/audit?text=passkey", nil, &entries)
	if len(entries) == 0 || entries[0].From == "" {
		t.Errorf("%+v", entries)
	}
	j.open("/access")
	j.click("Remove the passkey")
	j.sees("opens nothing here any more")
	j.run(chromedp.ActionFunc(clearCookies))
	j.open("/access")
	j.click("Log in by a passkey")
	j.sees("the passkey was not accepted")
}

// TestTokens makes a token, which is shown once, and revokes it.
func TestTokens(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.open("/access/tokens")
	j.sees("No program has a token")
	j.audit("tokens-none")
	j.click("Make a token")
	j.fill("#name", "ci")
	j.audit("token-new")
	j.submit("main form")
	j.sees("Copy it now")
	var text string
	j.eval(`document.getElementById("token").textContent`, &text)
	if !strings.HasPrefix(text, "berth_") {
		t.Errorf("the token reads %q", text)
	}
	j.audit("token-made")
	j.click("I have it")
	j.sees("change the site")
	if strings.Contains(j.text(), text) {
		t.Error("the token is shown twice")
	}
	j.audit("tokens")
	j.click("Revoke ci")
	j.sees("opens nothing any more")
	j.click("Audit log")
	j.sees("Revoke an API token")
	j.sees("in a browser, 127.0.0.1")
	j.audit("audit")
	j.fill("main input[name=text]", "ci")
	j.submit("main form")
	j.sees("name=ci")
	j.phone()
	for _, path := range []string{"/access", "/access/tokens", "/access/audit", "/access/visitors"} {
		j.open(path)
		j.audit(path[1:])
	}
}

// TestVisitors asks visitors of one path for a password, and then nobody.
func TestVisitors(t *testing.T) {
	j := newJourney(t)
	j.login()
	j.furnish()
	j.api("PATCH", "/site", map[string]any{"open": true}, nil)
	j.open("/access/visitors")
	j.sees("Everybody may visit everything")
	j.audit("visitors-open")
	j.run(chromedp.Click("input[name=mount]", chromedp.ByQuery))
	j.submit("form[action='/access/visitors/password']")
	j.sees("password")
	j.audit("visitors-refused")
	j.run(chromedp.Click("input[name=mount]:not(:checked)", chromedp.ByQuery))
	j.fill("#visitors-password", "correct horse")
	j.submit("form[action='/access/visitors/password']")
	j.sees("It holds from now on.")
	j.audit("visitors")

	visitor := join(t, j.host)
	visitor.open(j.site + "/")
	visitor.sees("This page is private")
	visitor.audit("asked")
	visitor.fill("#password", "wrong horse")
	visitor.submit("form")
	visitor.sees("That is not the password.")
	visitor.fill("#password", "correct horse")
	visitor.submit("form")
	visitor.sees("Foobar 3.5")

	j.run(chromedp.Click("input[name=mount]", chromedp.ByQuery))
	j.submit("form[action='/access/visitors/password']")
	j.sees("Everybody may visit everything")
	other := join(t, j.host)
	other.open(j.site + "/")
	other.sees("Foobar 3.5")
}

// addAuthenticator plays a device that has passkeys and knows its owner.
func addAuthenticator(ctx context.Context) error {
	_, err := webauthn.AddVirtualAuthenticator(&webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}).Do(ctx)
	return err
}

func clearCookies(ctx context.Context) error { return network.ClearBrowserCookies().Do(ctx) }
