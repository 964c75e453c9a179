package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var traffic = &place{
	Path: "/traffic", Title: "Traffic", Icon: "traffic",
	pages: []page{
		{method: "GET", path: "/traffic", scope: console.ScopeRead, serve: (*request).trafficPage},
	},
}

// spans are how far back the plots can go.
var spans = []struct{ Value, Title string }{{"15m", "15 minutes"}, {"1h", "1 hour"}, {"6h", "6 hours"}, {"24h", "24 hours"}}

// tableRows is how many periods the table beside the plots has.
const tableRows = 12

type trafficData struct {
	Since, Mount, Slot string
	Spans              []spanLink
	Subject            string // what the plots are of
	Source             string // where the plots come from
	Slots              []api.Traffic
	Total              api.TrafficTotal
	Rate               string // requests in a second
	Memory             int64
	Rows               []trafficRow // newest first
}

type spanLink struct {
	Title, Href string
	On          bool
}

type trafficRow struct {
	Time                   time.Time
	Requests, Traps        uint64
	OK, Moved, Wrong, Fail uint64
	P50, P95, P99          *float64
	Memory                 int64
}

func (r *request) trafficPage() error {
	q := r.URL.Query()
	data := trafficData{Since: cmp.Or(q.Get("since"), "1h"), Mount: q.Get("mount"), Slot: q.Get("slot"), Subject: "the whole site"}
	span, err := time.ParseDuration(data.Since)
	if err != nil {
		return &console.Error{Status: 400, Code: "bad_request", Message: "There is no such period.", Hint: "Choose one on the page Traffic."}
	}
	for _, s := range spans {
		data.Spans = append(data.Spans, spanLink{Title: s.Title, Href: trafficHref(s.Value, data.Mount, data.Slot), On: s.Value == data.Since})
	}
	if err := r.get("/traffic?since="+url.QueryEscape(data.Since), &data.Slots); err != nil {
		return err
	}
	for _, slot := range data.Slots {
		if slot.ID == data.Mount && slot.Slot == data.Slot {
			data.Subject = cmp.Or(slot.Mount, "the site's filters") + " (" + slot.Slot + ")"
		}
	}
	what := url.Values{"since": {data.Since}}
	if data.Mount != "" || data.Slot != "" {
		what.Set("mount", data.Mount)
		what.Set("slot", data.Slot)
	}
	data.Source = console.Prefix + "/traffic/series?" + what.Encode()
	what.Set("step", (span / tableRows).String())
	var series api.TrafficSeries
	if err := r.get("/traffic/series?"+what.Encode(), &series); err != nil {
		return err
	}
	data.fill(series)
	slices.SortStableFunc(data.Slots, func(a, b api.Traffic) int { return cmp.Compare(b.Recent.Requests, a.Recent.Requests) })
	return r.show(layout{Title: "Traffic", Template: "traffic", Data: data, Scripts: []string{"traffic.js"}})
}

// fill takes the table and the sums from a series. The quantiles of a sum
// can't be taken from those of its parts: they are those of the slot, or for
// the whole site the worst of a period.
func (d *trafficData) fill(s api.TrafficSeries) {
	for i, at := range s.Times {
		row := trafficRow{Time: time.Unix(at, 0), Requests: s.Requests[i], Traps: s.Traps[i], OK: s.Classes["2xx"][i] + s.Classes["1xx"][i], Moved: s.Classes["3xx"][i],
			Wrong: s.Classes["4xx"][i], Fail: s.Classes["5xx"][i], P50: s.P50[i], P95: s.P95[i], P99: s.P99[i], Memory: s.Memory[i]}
		d.Rows = append(d.Rows, row)
		d.Total.Requests += row.Requests
		d.Total.Errors += row.Fail
		d.Total.Traps += row.Traps
		d.Total.P50, d.Total.P95, d.Total.P99 = most(d.Total.P50, row.P50), most(d.Total.P95, row.P95), most(d.Total.P99, row.P99)
		d.Memory = row.Memory
	}
	if n := len(s.Times); n > 0 {
		seconds := float64(max(time.Now().Unix()-s.Times[0], 1))
		d.Rate = fmt.Sprintf("%.1f", float64(d.Total.Requests)/seconds)
	}
	for _, slot := range d.Slots {
		if slot.ID == d.Mount && slot.Slot == d.Slot {
			d.Total.P50, d.Total.P95, d.Total.P99 = slot.Recent.P50, slot.Recent.P95, slot.Recent.P99
		}
	}
	slices.Reverse(d.Rows)
}

func most(a float64, b *float64) float64 {
	if b == nil {
		return a
	}
	return max(a, *b)
}

func trafficHref(since, mount, slot string) string {
	q := url.Values{"since": {since}}
	if mount != "" || slot != "" {
		q.Set("mount", mount)
		q.Set("slot", slot)
	}
	return "/traffic?" + q.Encode()
}

// showMillis shows a latency in milliseconds for people.
func showMillis(v any) string {
	var ms float64
	switch v := v.(type) {
	case *float64:
		if v == nil {
			return "–"
		}
		ms = *v
	case float64:
		ms = v
	}
	switch {
	case ms == 0:
		return "–"
	case ms < .1:
		return fmt.Sprintf("%.0f µs", ms*1000)
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1000)
}

// count shows a number with spaces between thousands.
func count(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}
