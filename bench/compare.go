package main

import (
	"fmt"
	"io"
)

// noise is by how much a figure may differ from run to run without a reason.
const noise = 0.05

// compare prints what two reports have in common, side by side.
func compare(w io.Writer, oldFile, newFile string) error {
	before, err := readReport(oldFile)
	if err != nil {
		return err
	}
	after, err := readReport(newFile)
	if err != nil {
		return err
	}
	if before.System != after.System || before.Processors != after.Processors {
		fmt.Fprintf(w, "The machines differ (%s with %d processors, then %s with %d): only ratios say something.\n\n", before.System, before.Processors, after.System, after.Processors)
	}
	old := map[string]row{}
	for _, r := range before.Rows {
		old[r.Key] = r
	}
	const line = "%-84s %10s %10s %-12s %8s  %s\n"
	fmt.Fprintf(w, line, "what", "old", "new", "", "change", "")
	for _, r := range after.Rows {
		o, known := old[r.Key]
		delete(old, r.Key)
		if !known {
			fmt.Fprintf(w, line, r.What, "", format(r.Value), r.Unit, "", "new")
			continue
		}
		change := ""
		if o.Value != 0 {
			change = fmt.Sprintf("%+.0f %%", 100*(r.Value-o.Value)/o.Value)
		}
		fmt.Fprintf(w, line, r.What, format(o.Value), format(r.Value), r.Unit, change, verdict(o, r))
	}
	for _, r := range before.Rows {
		if _, left := old[r.Key]; left {
			fmt.Fprintf(w, line, r.What, format(r.Value), "", r.Unit, "", "gone")
		}
	}
	return nil
}

// verdict calls a change one only if it is larger than the noise, and the
// middle halves of the samples do not meet.
func verdict(before, after row) string {
	worse := after.Value < before.Value*(1-noise) && after.High < before.Low
	better := after.Value > before.Value*(1+noise) && after.Low > before.High
	if after.Limit {
		worse, better = better, worse
	}
	switch {
	case worse:
		return "worse"
	case better:
		return "better"
	}
	return "~"
}
