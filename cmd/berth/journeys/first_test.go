package journeys

import "testing"

// TestFirstStart claims a new server and looks at what an owner sees first.
func TestFirstStart(t *testing.T) {
	j := newJourney(t)
	j.open(j.server.ClaimURL())
	j.sees("Welcome to berth")
	j.audit("claim")
	j.fill("#password", "password1234")
	j.submit("main form")
	j.sees("among those that are tried first")
	j.fill("#password", ownersPassword)
	j.submit("main form")
	j.sees("From here to your visitors")
	j.audit("home-new")

	j.click("Install Foobar")
	j.sees("See your modules")
	j.audit("job")
	j.open("/")
	j.sees("Fill in its settings")
	j.audit("home-installed")

	j.open("/jobs")
	j.audit("jobs")
	j.open("/search?q=foobar")
	j.sees("foobar.example/foobar@v3.5.0")
	j.audit("search")
	j.open("/nowhere")
	j.sees("There is no page at /nowhere")
	j.audit("missing")

	j.open("/login")
	j.audit("login")
}
