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
	j.furnish()
	for _, path := range places {
		j.open(path)
		j.audit("place" + path)
	}
}
