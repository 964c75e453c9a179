package site

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/berth-host/berth/host/engine"
)

// metrics are the site's measurements. Labels are routes of mounts and slots:
// their number is that of the mounts, whatever visitors ask for.
type metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	traps    *prometheus.CounterVec

	calls  *prometheus.Desc
	memory *prometheus.Desc
	// pools yields what the pools do when somebody looks.
	pools func(yield func(route string, slot Slot, stats engine.Stats))
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	labels := []string{"mount", "slot"}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "berth_requests_total", Help: "Requests by mount, slot and class of status."}, append(labels, "status")),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "berth_request_seconds", Help: "Time from request to answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, labels),
		traps:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "berth_traps_total", Help: "Calls that a guest did not finish."}, labels),
		calls:  prometheus.NewDesc("berth_pool_instances", "Instances by what they do: idle, busy; waiting counts calls.", append(labels, "state"), nil),
		memory: prometheus.NewDesc("berth_pool_memory_bytes", "Linear memory of all instances.", labels, nil),
	}
	if registerer != nil {
		registerer.MustRegister(m.requests, m.latency, m.traps, m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.calls; ch <- m.memory }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.pools(func(route string, slot Slot, stats engine.Stats) {
		for state, n := range map[string]int{"idle": stats.Idle, "busy": stats.Busy, "waiting": stats.Waiting} {
			ch <- prometheus.MustNewConstMetric(m.calls, prometheus.GaugeValue, float64(n), route, string(slot), state)
		}
		ch <- prometheus.MustNewConstMetric(m.memory, prometheus.GaugeValue, float64(stats.Memory), route, string(slot))
	})
}

// slotMetrics are those of one slot, looked up once.
type slotMetrics struct {
	status  [5]prometheus.Counter // 2xx, 3xx, 4xx, 5xx, none
	latency prometheus.Observer
	traps   prometheus.Counter
}

func (m *metrics) slot(route string, slot Slot) *slotMetrics {
	s := &slotMetrics{latency: m.latency.WithLabelValues(route, string(slot)), traps: m.traps.WithLabelValues(route, string(slot))}
	for i, class := range []string{"2xx", "3xx", "4xx", "5xx", "none"} {
		s.status[i] = m.requests.WithLabelValues(route, string(slot), class)
	}
	return s
}

func (s *slotMetrics) observe(status int, took time.Duration) {
	class := status/100 - 2
	if class < 0 || class > 3 {
		class = 4 // the visitor went away before there was a status
	}
	s.status[class].Inc()
	s.latency.Observe(took.Seconds())
}

// forget removes what is measured of a mount that is gone.
func (m *metrics) forget(route string) {
	labels := prometheus.Labels{"mount": route}
	m.requests.DeletePartialMatch(labels)
	m.latency.DeletePartialMatch(labels)
	m.traps.DeletePartialMatch(labels)
}
