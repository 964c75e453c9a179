package journeys

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// press presses a key, as it is on a keyboard.
func (j *journey) press(key string, modifiers ...input.Modifier) {
	j.Helper()
	j.run(chromedp.KeyEvent(key, chromedp.KeyModifiers(modifiers...)))
}

// tabTo presses Tab until what has a text, or that label, has the focus. The
// focus must be seen all the way.
func (j *journey) tabTo(name string) {
	j.Helper()
	for range 80 {
		j.press(kb.Tab)
		var at struct {
			Name    string
			Visible bool
		}
		j.eval(`(() => {
			const e = document.activeElement;
			const label = e.labels?.[0]?.innerText ?? "";
			const style = getComputedStyle(e.closest(".cm-editor") ?? e); // the editor shows it around itself
			return {Name: (e.getAttribute("aria-label") || label || e.innerText || "").trim(), Visible: e === document.body || style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
		})()`, &at)
		if !at.Visible {
			j.Errorf("the focus on %q can't be seen", at.Name)
		}
		if at.Name == name {
			return
		}
	}
	j.shot("failed")
	j.Fatalf("Tab does not lead to %q on\n%s", name, j.text())
}

// TestKeyboard sets the password, installs from the shelf and finds what was
// installed, without a mouse.
func TestKeyboard(t *testing.T) {
	j := newJourney(t)
	j.open("/")
	j.wait(`document.activeElement?.id === "password"`, "the password's field has no focus")
	j.run(input.InsertText(ownersPassword))
	j.press(kb.Enter)
	j.sees("From here to your visitors")

	// The first stop leads past the navigation.
	j.press(kb.Tab)
	j.wait(`document.activeElement.innerText === "Skip to the content"`, "the first stop is not the way past the navigation")
	j.press(kb.Enter)
	j.wait(`document.activeElement.id === "main"`, "the content has no focus")
	j.tabTo("Install Foobar")
	j.press(kb.Enter)
	j.wait(`location.pathname.startsWith("/jobs/")`, "Enter does not install")
	j.sees("Put it on your site")

	j.press("k", input.ModifierCtrl)
	j.wait(`document.getElementById("search").open && document.activeElement.name === "q"`, "Ctrl-K does not open the search")
	j.run(input.InsertText("foobar 3.5"))
	j.wait(`document.querySelector("#search-results a")?.innerText.includes("foobar.example/foobar@v3.5.0")`, "the search finds nothing")
	j.audit("search-dialog")
	j.press(kb.ArrowDown)
	j.wait(`document.activeElement.closest("#search-results") !== null`, "the arrow does not lead to the results")
	j.press(kb.Escape)
	j.wait(`!document.getElementById("search").open`, "Escape does not close the search")
	j.press("k", input.ModifierCtrl)
	j.run(input.InsertText("releases"))
	j.wait(`document.querySelector("#search-results a")?.innerText.trim().startsWith("Releases")`, "the search does not find a place")
	j.press(kb.Enter)
	j.wait(`location.pathname === "/releases"`, "Enter does not lead to the first result")

	// The menu opens, chooses and closes.
	j.tabTo("Your menu")
	j.press(kb.Enter)
	j.wait(`document.querySelector("details.menu").open`, "the menu does not open")
	j.audit("menu")
	j.tabTo("Dark")
	j.press(kb.Enter)
	j.wait(`document.documentElement.dataset.theme === "dark"`, "the theme does not change")
	var background string
	j.eval(`getComputedStyle(document.body).backgroundColor`, &background)
	if background == "rgb(246, 247, 248)" {
		t.Error("the dark page is light")
	}
	j.tabTo("Your menu")
	j.press(kb.Enter)
	j.press(kb.Escape)
	j.wait(`!document.querySelector("details.menu").open && document.activeElement.matches("details.menu summary")`, "Escape does not close the menu")
}

// TestLive watches a page while somebody else changes the site, and through a
// restart of the server.
func TestLive(t *testing.T) {
	j := newJourney(t)
	j.login()
	open := true
	j.sees("Closed")
	j.api("PATCH", "/site", map[string]any{"open": open}, nil)
	j.wait(`document.getElementById("state-pill").innerText.includes("Open")`, "the page does not notice that the site is open")
	var job struct{ ID string }
	start := time.Now()
	j.api("POST", "/bundled", map[string]string{"id": "foobar"}, &job)
	j.wait(`document.querySelector("#steps .done")?.innerText.includes("Install a module")`, "the checklist does not notice the install")
	t.Logf("noticed after %v", time.Since(start).Round(time.Millisecond))
	j.open("/jobs/" + job.ID)
	j.sees("done")
	j.run(chromedp.Reload())
	j.sees("done")
	j.wait(fmt.Sprintf(`document.querySelector("#job-%s .badge.done")`, job.ID), "after a reload the job is gone")
}
