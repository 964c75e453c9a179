package site

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/traffic"
)

// Traffic is what the deployment in one slot of a mount does, as it stands now.
type Traffic struct {
	Mount    string // ID; "" for the filters of the whole site
	Host     string
	Path     string
	Slot     Slot
	Package  string        // of the handler, with version; "" without one
	Requests uint64        // since the server started, over all deployments of the slot
	Took     time.Duration // of these requests, in the whole server

	// Stats are those of all pools of the deployment together; Traps counts
	// over all deployments of the slot.
	engine.Stats
}

// Traffic lists the slots that hold a deployment, by host and path.
func (s *Site) Traffic() []Traffic {
	s.look(time.Now())
	var all []Traffic
	for m, d := range s.current.Load().deployments {
		all = append(all, d.traffic(m))
	}
	return all
}

// deployments visits the deployments that stand in a slot.
func (g *generation) deployments(yield func(*mount, *deployment) bool) {
	if g.filters != nil && !yield(&mount{}, g.filters) {
		return
	}
	for m := range g.routes.all {
		for _, slot := range []Slot{Production, Beta} {
			if d := m.in(slot); d != nil && !yield(m, d) {
				return
			}
		}
	}
}

func (d *deployment) traffic(m *mount) Traffic {
	t := Traffic{Mount: m.ID, Host: m.Host, Path: m.Path, Slot: d.place.slot, Requests: d.place.stats.Requests(),
		Took: time.Duration(d.place.stats.Seconds() * float64(time.Second))}
	if h := d.spec.Handler; h != nil {
		t.Package = h.Package + "@" + h.Version
	}
	for _, u := range d.units() {
		add(&t.Stats, u.stats())
	}
	t.Traps = d.place.stats.Traps()
	return t
}

// units lists the units of a deployment, none before it is loaded.
func (d *deployment) units() []*unit {
	if c := d.ready.Load(); c != nil {
		return c.units
	}
	return nil
}

func (u *unit) stats() (sum engine.Stats) {
	for pool := range u.pools {
		add(&sum, pool.Stats())
	}
	return sum
}

// A UnitTraffic is what one package of a deployment does.
type UnitTraffic struct {
	Package string // with version
	engine.Stats
}

// TrafficIn tells of one slot, and of each package in it that has code by
// itself. ok is false if nothing stands there.
func (s *Site) TrafficIn(mountID string, slot Slot) (t Traffic, units []UnitTraffic, ok bool) {
	for m, d := range s.current.Load().deployments {
		if m.ID != mountID || d.place.slot != slot {
			continue
		}
		for _, u := range d.units() {
			if u.pool != nil {
				units = append(units, UnitTraffic{u.String(), u.stats()})
			}
		}
		return d.traffic(m), units, true
	}
	return Traffic{}, nil, false
}

func add(sum *engine.Stats, s engine.Stats) {
	sum.Idle += s.Idle
	sum.Busy += s.Busy
	sum.Waiting += s.Waiting
	sum.Memory += s.Memory
	sum.Calls += s.Calls
	sum.Timeouts += s.Timeouts
	sum.Rejected += s.Rejected
	sum.Created += s.Created
	sum.Times.Add(s.Times)
}

// A collector shows the site to Prometheus. What it shows is counted in each
// [place] and gathered when it is asked for, so that a mount that is removed
// takes its labels with it.
type collector Site

var (
	slotLabels   = []string{"mount", "slot"}
	requestsDesc = prometheus.NewDesc("berth_requests_total", "Requests by class of status; class 0 went away unanswered.", append(slotLabels, "class"), nil)
	latencyDesc  = prometheus.NewDesc("berth_request_seconds", "Time from a request's head to the end of its answer.", slotLabels, nil)
	trapsDesc    = prometheus.NewDesc("berth_traps_total", "Calls that a module did not finish.", slotLabels, nil)
	callsDesc    = prometheus.NewDesc("berth_calls", "Calls in all modules of a slot: running, or waiting for an instance.", append(slotLabels, "state"), nil)
	idleDesc     = prometheus.NewDesc("berth_instances_idle", "Instances that lie ready.", slotLabels, nil)
	guestDesc    = prometheus.NewDesc("berth_guest_seconds_total", "Time of calls in all modules of a slot: computing, blocked in host functions that wait, queued for an instance, starting instances, restoring them to their first state.", append(slotLabels, "state"), nil)
	memoryDesc   = prometheus.NewDesc("berth_memory_bytes", "Linear memory of all instances.", slotLabels, nil)
)

// Describe implements [prometheus.Collector].
func (c *collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{requestsDesc, latencyDesc, trapsDesc, callsDesc, idleDesc, guestDesc, memoryDesc} {
		descs <- d
	}
}

// Collect implements [prometheus.Collector]. Slots that nobody has asked yet
// are left out.
func (c *collector) Collect(metrics chan<- prometheus.Metric) {
	for m, d := range (*Site)(c).current.Load().deployments {
		if d.ready.Load() == nil {
			continue
		}
		t := d.traffic(m)
		slot := string(t.Slot)
		collect(metrics, &d.place.stats, m.route(), slot)
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{m.route(), slot}, labels...)...)
		}
		seconds := func(d time.Duration, state string) {
			metrics <- prometheus.MustNewConstMetric(guestDesc, prometheus.CounterValue, d.Seconds(), m.route(), slot, state)
		}
		seconds(t.Computing, "computing")
		seconds(t.Blocked, "blocked")
		seconds(t.Queued, "queued")
		seconds(t.Starting, "starting")
		seconds(t.Restoring, "restoring")
		gauge(callsDesc, float64(t.Busy), "running")
		gauge(callsDesc, float64(t.Waiting), "waiting")
		gauge(idleDesc, float64(t.Idle))
		gauge(memoryDesc, float64(t.Memory))
	}
}

func collect(metrics chan<- prometheus.Metric, c *traffic.Counters, mount, slot string) {
	for i := range traffic.Classes {
		if n := c.Class(i); n > 0 {
			metrics <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), mount, slot, strconv.Itoa(i)+"xx")
		}
	}
	metrics <- prometheus.MustNewConstMetric(trapsDesc, prometheus.CounterValue, float64(c.Traps()), mount, slot)
	below, total := c.Histogram()
	metrics <- prometheus.MustNewConstHistogram(latencyDesc, total, c.Seconds(), below, mount, slot)
}
