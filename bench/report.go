package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
)

// A report is what bench.json holds.
type report struct {
	Time       time.Time `json:"time"`
	Go         string    `json:"go"`
	System     string    `json:"system"`
	Processors int       `json:"processors"`
	Pairs      int       `json:"pairs"`
	Seconds    int       `json:"seconds"`
	Rows       []row     `json:"rows"`
}

func newReport() report {
	return report{Time: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Processors: runtime.NumCPU()}
}

// A row is one figure with its goal.
type row struct {
	Key   string  `json:"key"` // stays the same from version to version
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Low   float64 `json:"low"` // half of the samples lie from Low to High
	High  float64 `json:"high"`
	Unit  string  `json:"unit"`
	Goal  float64 `json:"goal,omitempty"` // 0: none, unless Limit says otherwise
	// Limit says that less is better: the goal must not be exceeded. Otherwise
	// it must be reached.
	Limit bool   `json:"limit,omitempty"`
	None  bool   `json:"none,omitempty"` // the goal is 0
	Note  string `json:"note,omitempty"`
}

// atLeast is a row whose value should reach the goal, from samples.
func atLeast(goal float64, key, what, unit string, samples ...float64) row {
	low, mid, high := quartiles(samples)
	return row{Key: key, What: what, Value: mid, Low: low, High: high, Unit: unit, Goal: goal}
}

// atMost is a row whose value should not exceed the goal, from samples.
func atMost(goal float64, key, what, unit string, samples ...float64) row {
	r := atLeast(goal, key, what, unit, samples...)
	r.Limit = true
	return r
}

func (r row) note(format string, args ...any) row {
	r.Note = fmt.Sprintf(format, args...)
	return r
}

func quartiles(samples []float64) (low, mid, high float64) {
	s := slices.Sorted(slices.Values(samples))
	at := func(part float64) float64 { return s[int(math.Round(part*float64(len(s)-1)))] }
	return at(.25), at(.5), at(.75)
}

func median(samples []float64) float64 {
	_, mid, _ := quartiles(samples)
	return mid
}

// goal is empty for a row without one.
func (r row) goal() string {
	sign := "≥ "
	if r.Limit {
		sign = "≤ "
	}
	switch {
	case r.None:
		return "none"
	case r.Goal == 0:
		return ""
	}
	return sign + format(r.Goal)
}

// verdict says how the figure stands to its goal.
func (r row) verdict() string {
	if r.Goal == 0 && !r.None {
		return ""
	}
	missed := r.Value < r.Goal
	if r.Limit {
		missed = r.Value > r.Goal
	}
	switch {
	case !missed:
		return "reached"
	case r.None:
		return "missed"
	}
	return fmt.Sprintf("missed by %.0f %%", 100*math.Abs(r.Value-r.Goal)/r.Goal)
}

// format writes a figure with three digits.
func format(v float64) string {
	switch size := math.Abs(v); {
	case v == math.Trunc(v) || size >= 100:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

const line = "%-84s %10s %-12s %9s  %-16s %s\n"

func (r report) writeHead(w io.Writer) {
	fmt.Fprintf(w, "%s, %s, %d processors; %d pairs of %d s\n\n", r.Go, r.System, r.Processors, r.Pairs, r.Seconds)
	fmt.Fprintf(w, line, "what", "measured", "", "goal", "", "")
}

func (r row) print(w io.Writer) {
	fmt.Fprintf(w, line, r.What, format(r.Value), r.Unit, r.goal(), r.verdict(), r.Note)
}

func (r report) write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

func readReport(file string) (r report, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s is no report of bench: %w", file, err)
	}
	return r, nil
}
