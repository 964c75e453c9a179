package journeys

import (
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// TestConfiguration enters a shared value once, sets a value of a module and
// one of a single slot, and sees beside the field what is wrong.
func TestConfiguration(t *testing.T) {
	j := newJourney(t)
	j.login()
	address := publishShop(j)
	j.furnish()
	j.open("/modules/install")
	j.fill("#urls", address)
	j.click("Fetch and look at it")
	j.sees("Install Shop v1.2.0?")
	j.click("Install")
	j.sees("Put it on your site")

	j.open("/configuration")
	j.sees("Name of the site")
	j.sees("1 value to fill in")
	j.audit("shared")
	j.fill(`[name=":/site.name"]`, "1984")
	j.click("Save")
	j.sees("Saved.")
	j.sees("used by / (production) foobar.example/foobar")

	j.click("Shop")
	j.sees("Stands on every bill.")
	j.audit("package")
	j.fill(`[name="shop.example/shop:/owner"]`, "Jimmy")
	j.click("Save")
	j.sees("Saved.")
	j.open("/configuration?package=foobar.example%2Ffoobar")
	j.click("/")
	j.sees("as the module comes")
	j.click("Production")
	j.fill(`[name="foobar.example/foobar:/greeting"]`, "Ahoy")
	j.click("Save")
	j.sees("set for this slot")
	j.audit("slot")
	j.phone()
	for _, path := range []string{"/configuration", "/configuration?package=shop.example%2Fshop"} {
		j.open(path)
		j.audit(strings.SplitN(path[1:], "=", 2)[0])
	}
	var values []api.ConfigValue
	j.api("GET", "/config?package=shop.example%2Fshop", nil, &values)
	if len(values) != 1 || string(values[0].Value) != `"Jimmy"` {
		t.Errorf("%+v", values)
	}
}
