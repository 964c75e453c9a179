package journeys

import (
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"testing"
)

// maxCrawl is how many pages one crawl looks at.
const maxCrawl = 80

// crawl opens every page that links lead to, and calls look on each. Of pages
// that differ in what they are asked for, it opens a few.
func (j *journey) crawl(look func(path string)) (seen []string) {
	j.Helper()
	queue, shapes := []string{"/"}, map[string]int{}
	for len(queue) > 0 && len(seen) < maxCrawl {
		path := queue[0]
		queue = queue[1:]
		if shape := shapeOf(path); slices.Contains(seen, path) || shapes[shape] >= 3 {
			continue
		} else {
			shapes[shape]++
		}
		seen = append(seen, path)
		j.open(path)
		var heading string
		j.eval(`document.querySelector("h1")?.innerText ?? ""`, &heading)
		if heading == "" {
			j.Errorf("%s has no heading:\n%s", path, j.text())
		}
		if heading == "That didn’t work" {
			j.Errorf("a link leads to %s, which fails:\n%s", path, j.text())
		}
		look(path)
		var links []string
		j.eval(`[...document.querySelectorAll("a[href]")].filter((a) => !a.hasAttribute("download") && a.target !== "_blank").map((a) => a.href)`, &links)
		for _, link := range links {
			if u, err := url.Parse(link); err == nil && u.Scheme+"://"+u.Host == j.console && !isDownload(u.Path) {
				u.Fragment = ""
				queue = append(queue, u.RequestURI())
			}
		}
	}
	return seen
}

// isDownload reports whether a path is none of a page.
func isDownload(path string) bool {
	return regexp.MustCompile(`^/(api|assets|metrics|healthz|readyz)\b`).MatchString(path)
}

// shapeOf is a path without what it is asked for.
func shapeOf(path string) string {
	u, err := url.Parse(path)
	if err != nil {
		return path
	}
	shape := regexp.MustCompile(`/[0-9a-f-]{8,}|/[0-9]+`).ReplaceAllString(u.Path, "/*")
	for _, key := range slices.Sorted(slices.Values(keysOf(u.Query()))) {
		shape += "&" + key
	}
	return shape
}

func keysOf(q url.Values) (keys []string) {
	for key := range q {
		keys = append(keys, key)
	}
	return keys
}

func decode(t *testing.T, r io.Reader, v any) {
	t.Helper()
	if err := json.NewDecoder(r).Decode(v); err != nil {
		t.Fatal(err)
	}
}
