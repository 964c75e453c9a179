package site

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrape returns the lines that Prometheus reads.
func scrape(t *testing.T, registry *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q in:\n%s", line, text)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	s := newSite(t, Options{Metrics: registry}, mountAt("/a", deploy(guest(t, "a"))), mountAt("/b", deploy(guest(t, "b"))))
	v := visitorOf(t, s)
	v.get("/a")
	v.get("/a/4")
	v.get("/a/t")
	v.get("/b")
	wantLines(t, scrape(t, registry),
		`berth_requests_total{class="2xx",mount="/a",slot="production"} 1`,
		`berth_requests_total{class="4xx",mount="/a",slot="production"} 1`,
		`berth_requests_total{class="5xx",mount="/a",slot="production"} 1`,
		`berth_requests_total{class="2xx",mount="/b",slot="production"} 1`,
		`berth_traps_total{mount="/a",slot="production"} 1`,
		`berth_traps_total{mount="/b",slot="production"} 0`,
		`berth_request_seconds_count{mount="/a",slot="production"} 3`,
		`berth_request_seconds_bucket{mount="/a",slot="production",le="+Inf"} 3`,
		`berth_instances_idle{mount="/b",slot="production"} 1`,
		`berth_memory_bytes{mount="/b",slot="production"} 262144`,
		`berth_calls{mount="/b",slot="production",state="running"} 0`,
	)
	// Numbers go on when a slot gets another deployment, and go with the mount.
	apply(t, s, Change{Put: []Mount{mountAt("/a", deploy(guest(t, "a2")))}, Remove: []string{"mount /b"}})
	v.get("/a")
	text := scrape(t, registry)
	wantLines(t, text, `berth_requests_total{class="2xx",mount="/a",slot="production"} 2`)
	if strings.Contains(text, `mount="/b"`) {
		t.Errorf("a removed mount stays:\n%s", text)
	}
}
