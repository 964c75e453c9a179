package server

import (
	"net/url"
	"testing"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

func TestTrafficSeries(t *testing.T) {
	f := newFixture(t)
	f.publish("marker.example/a", "v1.0.0", 1, "")
	f.install(f.url("marker.example/a"))
	var m api.Mount
	f.call("POST", "/mounts", api.MountRequest{Package: "marker.example/a", Path: "/a", Slot: "production"}, &m)
	for range 3 {
		f.visit("/a")
	}
	time.Sleep(time.Second)
	sum := func(query url.Values) (requests, ok uint64) {
		t.Helper()
		var s api.TrafficSeries
		f.get("/traffic/series", query, &s)
		if len(s.Times) != len(s.Requests) || len(s.Times) != len(s.P99) || s.Step < 10 {
			t.Errorf("%+v", s)
		}
		for i, n := range s.Requests {
			requests += n
			ok += s.Classes["2xx"][i]
			if (n > 0) != (s.P95[i] != nil) {
				t.Errorf("%d requests with p95 %v", n, s.P95[i])
			}
		}
		return requests, ok
	}
	for name, query := range map[string]url.Values{
		"mount": {"mount": {m.ID}}, "whole site": {"since": {"24h"}}, "by minute": {"mount": {m.ID}, "step": {"1m"}, "slot": {"production"}},
	} {
		if requests, ok := sum(query); requests != 3 || ok != 3 {
			t.Errorf("%s: %d requests, %d of them well", name, requests, ok)
		}
	}
	if requests, _ := sum(url.Values{"mount": {m.ID}, "slot": {"beta"}}); requests != 0 {
		t.Errorf("beta has had %d requests", requests)
	}
	for _, bad := range []url.Values{{"since": {"never"}}, {"step": {"-1s"}}, {"mount": {"x"}}, {"slot": {"gamma"}}} {
		if err := f.owner.Call(t.Context(), "GET", "/traffic/series", bad, nil, nil); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
