package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

// TestPagesOfData promotes a version that stores in another shape, and goes back
// from it, by the console's pages: they say what happens to data, and what is
// lost wants the owner's word.
func TestPagesOfData(t *testing.T) {
	f, m := shaped(t)
	owner := f.loggedIn()
	f.publishShape("v2.0.0", 2, "ok", "")
	f.beta(m, "v2.0.0")
	page := func(want int, method, path, body string, texts ...string) {
		t.Helper()
		status, answer := f.send(owner, method, path, formType, body, "Sec-Fetch-Site: same-origin")
		if status != want {
			t.Errorf("%s %s: %d, want %d", method, path, status, want)
		}
		for _, text := range texts {
			if !strings.Contains(answer, text) {
				t.Errorf("%s %s does not say %q:\n%s", method, path, text, answer[strings.Index(answer, "<main"):])
			}
		}
	}
	based := func(more ...string) string {
		t.Helper()
		var site api.Site
		f.get("/site", nil, &site)
		form := url.Values{"mount": {m.ID}, "base": {fmt.Sprint(site.Revision)}}
		for i := 0; i < len(more); i += 2 {
			form.Set(more[i], more[i+1])
		}
		return form.Encode()
	}
	page(http.StatusOK, "GET", "/releases/promote?mount="+m.ID, "", "Stored data moves along", "goes from version 1 to 2: 2 stored values", "what is written from now on would then be lost", "Version of the stored data")
	page(http.StatusSeeOther, "POST", "/releases/promote", based())
	f.see("/s/get/a", "2 2:apple")

	f.visit("/s/set/c/cheese")
	page(http.StatusOK, "GET", "/releases/back?mount="+m.ID, "", "Data will be lost", "1 stored value written since will be lost", `name="lose"`)
	page(http.StatusConflict, "POST", "/releases/back", based(), "check the box below")
	f.see("/s/get/c", "2 2:cheese")
	page(http.StatusSeeOther, "POST", "/releases/back", based("lose", "yes"))
	f.see("/s/get/c", "1 ")

	// Of a form that was filled in long ago nothing is done.
	old := based()
	f.call("PUT", "/mounts/"+m.ID+"/policy", api.PolicyRequest{Mode: "everyone"}, nil)
	page(http.StatusConflict, "POST", "/releases/promote", old, "Somebody else changed this too", "Who sees the beta", "Do mine too")
	f.see("/s/get/a", "1 1:apple")
	page(http.StatusNotFound, "GET", "/releases/999", "")
	page(http.StatusNotFound, "GET", "/releases/nothing", "")
	page(http.StatusBadRequest, "GET", "/releases?before=nothing", "")
}
