package journeys

import "testing"

// TestPhone looks at the pages on a phone, 390 pixels wide.
func TestPhone(t *testing.T) {
	j := newJourney(t)
	j.phone()
	j.open("/")
	j.audit("claim")
	j.login()
	j.audit("home")
	for _, path := range []string{"/jobs", "/search?q=a", "/access"} {
		j.open(path)
		j.audit(path[1:2])
	}
}
