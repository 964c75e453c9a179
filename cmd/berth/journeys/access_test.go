package journeys

import (
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// TestPasswordChange logs in with two browsers. To change the password wants
// it again once some time has passed, and ends the other's session.
func TestPasswordChange(t *testing.T) {
	j := newJourney(t)
	j.login()
	other := join(t, j.host)
	other.open("/access")
	other.fill("#password", ownersPassword)
	other.submit("main form")
	other.sees("Browsers that are logged in")
	var sessions []api.Session
	j.api("GET", "/sessions", nil, &sessions)
	if len(sessions) != 2 {
		t.Fatalf("%d sessions", len(sessions))
	}

	j.click("Access")
	j.sees("this one")
	j.audit("access")
	j.click("Change the password")
	j.audit("password")
	j.fill("#password", "short")
	j.submit("main form")
	j.sees("of at least 12")
	const changed = "an even better sentence"
	j.fill("#password", changed)
	j.submit("main form")
	j.sees("All other browsers are logged out.")

	other.open("/access")
	other.sees("Log in")
	other.fill("#password", ownersPassword)
	other.submit("main form")
	other.sees("That is not the password.")
	other.fill("#password", changed)
	other.submit("main form")
	other.sees("Browsers that are logged in")
	j.open("/access")
	j.click("Log out Chrome")
	j.sees("That browser is logged out.")

	if strings.Contains(j.logs.String(), changed) || strings.Contains(j.logs.String(), ownersPassword) {
		t.Error("a password is in the log")
	}
}
