package server

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/host/traffic"
)

func (s *Server) trafficRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/traffic", console.ScopeRead, "What each slot does now", s.traffic),
		console.Action("GET", "/traffic/series", console.ScopeRead, "Traffic of the last day: of a slot, or of the whole site", s.trafficSeries),
	}
}

func (s *Server) traffic(_ context.Context, in api.TrafficRequest) ([]api.Traffic, error) {
	var since time.Time
	if in.Since != "" {
		var err error
		if since, err = parseSince(in.Since); err != nil {
			return nil, err
		}
	}
	list := []api.Traffic{}
	for _, t := range s.site.Traffic() {
		row := api.Traffic{ID: t.Mount, Mount: t.Host + t.Path, Slot: string(t.Slot), Package: t.Package, Requests: t.Requests, Traps: t.Traps,
			Busy: t.Busy, Waiting: t.Waiting, Idle: t.Idle, Memory: t.Memory}
		if in.Since != "" {
			recent := s.site.Total(t.Mount, t.Slot, since)
			row.Recent = &api.TrafficTotal{Requests: recent.Requests, Errors: recent.Classes[5], Abandoned: recent.Classes[0], Traps: recent.Traps,
				P50: milliseconds(recent.P50), P95: milliseconds(recent.P95), P99: milliseconds(recent.P99)}
		}
		list = append(list, row)
	}
	return list, nil
}

func (s *Server) trafficSeries(ctx context.Context, in api.SeriesRequest) (api.TrafficSeries, error) {
	since, err := parseSince(cmp.Or(in.Since, "1h"))
	if err != nil {
		return api.TrafficSeries{}, err
	}
	var step time.Duration
	if in.Step != "" {
		if step, err = time.ParseDuration(in.Step); err != nil || step < time.Second || step > traffic.Kept {
			return api.TrafficSeries{}, badParameter("step", in.Step, "a duration from 10s to 24h")
		}
	}
	if in.Mount == "" && in.Slot == "" {
		return describeSeries(s.site.WholeHistory(since, step)), nil
	}
	slot, err := parseSlot(cmp.Or(in.Slot, string(site.Production)))
	if err != nil {
		return api.TrafficSeries{}, err
	}
	if in.Mount != "" {
		if _, err := s.getMount(ctx, api.MountRef{Mount: in.Mount}); err != nil {
			return api.TrafficSeries{}, err
		}
	}
	return describeSeries(s.site.History(in.Mount, site.Slot(slot), since, step)), nil
}

// parseSince reads a duration before now, or a time.
func parseSince(text string) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago > 0 {
		return time.Now().Add(-ago), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, badParameter("since", text, "a duration such as 15m, or a time such as 2026-05-03T09:30:00Z")
}

func badParameter(name, value, want string) error {
	return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf("parameter %q: %q is not %s", name, value, want)}
}

func describeSeries(s traffic.Series) api.TrafficSeries {
	described := api.TrafficSeries{
		Step: int(s.Step / time.Second), Times: s.Times, Requests: s.Requests, Traps: s.Traps, Memory: s.Memory,
		P50: latencies(s, s.P50), P95: latencies(s, s.P95), P99: latencies(s, s.P99), Classes: map[string][]uint64{},
	}
	for class, name := range [traffic.Classes]string{"gone", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		described.Classes[name] = s.Classes[class]
	}
	return described
}

func latencies(s traffic.Series, of []time.Duration) []*float64 {
	list := make([]*float64, len(of))
	for i, d := range of {
		if s.Requests[i] > 0 {
			ms := milliseconds(d)
			list[i] = &ms
		}
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
