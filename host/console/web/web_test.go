package web

import (
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// TestLocalPath asks that a login leads nowhere else.
func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{
		"/releases?x=1": "/releases?x=1", "/": "/", "": "/", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/",
		"/\t/evil.example": "/", "javascript:alert(1)": "/", "releases": "/", `\\evil.example`: "/", "///evil.example": "/", "/%0a/x": "/%0a/x", "http:/x": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q leads to %q, want %q", next, got, want)
		}
	}
}

// TestSteps follows a site on its way from nothing to visitors.
func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		name  string
		facts api.Facts
		next  string
	}{
		{"new", api.Facts{}, "Install a module"},
		{"installed, a setting is missing", api.Facts{Packages: 1, Missing: 1}, "Fill in its settings"},
		{"installed", api.Facts{Packages: 1}, "Put it on your site and look at it in beta"},
		{"in beta", api.Facts{Packages: 1, Mounts: 1, Beta: 1}, "Put it on your site and look at it in beta"},
		{"looked at", api.Facts{Packages: 1, Mounts: 1, Beta: 1, BetaSeen: true}, "Promote it to production"},
		{"promoted", api.Facts{Packages: 1, Mounts: 1, Production: 1}, "Open the site"},
		{"open", api.Facts{Packages: 1, Mounts: 1, Production: 1, Open: true}, ""},
		{"opened too early", api.Facts{Open: true}, "Install a module"},
	} {
		next := ""
		for _, s := range steps(api.Overview{Facts: tt.facts}) {
			if s.Next {
				next += s.Title
			}
		}
		if next != tt.next {
			t.Errorf("%s: next is %q, want %q", tt.name, next, tt.next)
		}
	}
}

// TestTemplates renders the parts that pages share with hostile texts.
func TestTemplates(t *testing.T) {
	const hostile = `<script>x</script>"'><img src=x onerror=x>`
	for _, part := range []struct {
		name string
		data any
	}{
		{"job", console.Job{ID: "1", Kind: hostile, Subject: hostile, State: console.JobRunning, Progress: console.Progress{Step: hostile}}},
		{"job", console.Job{ID: "1", Kind: "install", State: console.JobFailed, Error: &console.Error{Message: hostile, Hint: hostile}}},
		{"error-box", &console.Error{Message: hostile, Hint: hostile}},
		{"state-pill", api.Overview{State: api.StateDegraded, Problems: []api.Problem{{Subject: hostile, Text: hostile}}}},
		{"search/results", searchData{Query: hostile}},
		{"search/results", searchData{Query: "x", Found: []result{{Href: "javascript:alert(1)", Title: hostile, Text: hostile, Icon: "home"}}}},
		{"home/steps", homeData{Steps: []step{{Title: hostile, Text: hostile, Next: true, Href: "javascript:alert(1)", Action: hostile}}}},
	} {
		var b strings.Builder
		if err := templates.ExecuteTemplate(&b, part.name, part.data); err != nil {
			t.Errorf("%s: %v", part.name, err)
		}
		if text := b.String(); strings.Contains(text, "<script") || strings.Contains(text, "<img") || strings.Contains(text, `href="javascript`) {
			t.Errorf("%s shows %s", part.name, text)
		}
	}
}

func TestShown(t *testing.T) {
	for got, want := range map[string]string{
		Size(0): "0 B", Size(999): "999 B", Size(1500): "1.5 kB", Size(979_900): "979.9 kB", Size(64 << 20): "67.1 MB", Size(3_200_000_000): "3.2 GB",
		plural(1, "job"): "1 job", plural(0, "job"): "0 jobs", capital("über"): "Über", capital(""): "", short("0123456789abcdef"): "0123456789ab", short(""): "–",
		string(showTime(time.Time{})):                                 "never",
		string(showTime(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))): `<time datetime="2026-03-04T05:06:07Z">2026-03-04 05:06 UTC</time>`,
		browser("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"):                                   "Chrome on Linux",
		browser("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"): "Safari on iPhone",
		browser("curl/8"): "curl/8", browser(""): "unknown",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestIcons draws every icon that a place wants: a missing one panics.
func TestIcons(t *testing.T) {
	var _ template.HTML = icon("home")
	for _, p := range places {
		icon(p.Icon)
	}
}
