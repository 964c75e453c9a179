package revision

import (
	"fmt"
	"strings"
)

// Text returns the comparison in lines that a person reads: + for what is added,
// - for what is removed, ~ for what changes. It is "" when nothing differs.
func (d *Diff) Text() string {
	var b strings.Builder
	d.write(&b, "")
	return b.String()
}

// Text returns the comparison in lines; see [Diff.Text].
func (d *MountDiff) Text() string {
	var b strings.Builder
	d.write(&b)
	return b.String()
}

// Text returns the comparison in lines; see [Diff.Text].
func (d *SiteDiff) Text() string {
	var b strings.Builder
	writeFields(&b, "", d.Fields)
	if d.Filters != nil {
		d.Filters.write(&b, "")
	}
	for _, c := range d.Shared {
		c.write(&b, "", "shared ")
	}
	for _, c := range d.Packages {
		c.write(&b, "", "config of "+c.Package+" ")
	}
	for _, m := range d.Mounts {
		m.write(&b)
	}
	return b.String()
}

func (d *MountDiff) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s mount %s\n", d.Kind.sign(), d.Route)
	writeFields(b, "  ", d.Fields)
	if d.Production != nil {
		b.WriteString("  production\n")
		d.Production.write(b, "    ")
	}
	if d.Beta != nil {
		b.WriteString("  beta\n")
		d.Beta.write(b, "    ")
	}
}

func (k Kind) sign() string {
	switch k {
	case Added:
		return "+"
	case Removed:
		return "-"
	}
	return "~"
}

func (d *Diff) write(b *strings.Builder, indent string) {
	if d.From != d.To {
		writeChange(b, indent, "code ", d.From, d.To)
	}
	for _, f := range d.Files {
		fmt.Fprintf(b, "%s%s file %s\n", indent, f.Kind.sign(), f.Path)
	}
	for _, v := range d.Versions {
		writeChange(b, indent, "dependency "+v.Edge+": ", v.From, v.To)
	}
	for _, c := range d.Config {
		c.write(b, indent, "config "+c.Package+" ")
	}
	for _, p := range d.Permissions {
		fmt.Fprintf(b, "%s%s permission %s %s", indent, p.Kind.sign(), p.Package, p.Permission)
		if p.Host != "" {
			fmt.Fprintf(b, " %q", p.Host)
		}
		if p.Reason != "" {
			fmt.Fprintf(b, " (%q)", p.Reason)
		}
		b.WriteByte('\n')
	}
	writeFilters(b, indent, d.Filters)
	if d.Data != nil {
		fmt.Fprintf(b, "%s~ data version %d → %d", indent, d.Data.From, d.Data.To)
		if d.Data.LosesWrites {
			b.WriteString("; restores the snapshot: what was written since is lost")
		}
		if d.Data.BackLosesWrites {
			b.WriteString("; going back later loses what is written from now on")
		}
		b.WriteByte('\n')
	}
}

func writeChange(b *strings.Builder, indent, what, from, to string) {
	switch kindOf(from, to) {
	case Added:
		fmt.Fprintf(b, "%s+ %s%s\n", indent, what, to)
	case Removed:
		fmt.Fprintf(b, "%s- %s%s\n", indent, what, from)
	default:
		fmt.Fprintf(b, "%s~ %s%s → %s\n", indent, what, from, to)
	}
}

// Titles and hosts are quoted: whoever wrote them must not draw lines of a diff.
func writeFields(b *strings.Builder, indent string, fields []FieldChange) {
	for _, f := range fields {
		fmt.Fprintf(b, "%s~ %s %q → %q\n", indent, f.Field, f.From, f.To)
	}
}

func writeFilters(b *strings.Builder, indent string, filters []FilterChange) {
	for _, f := range filters {
		if f.Kind == Moved {
			fmt.Fprintf(b, "%s~ filter %s moves to another place in the order\n", indent, f.Package)
		} else {
			writeChange(b, indent, "filter "+f.Package+" ", f.From, f.To)
		}
	}
}

// write tells a configuration value as JSON, whose strings are quoted.
func (c ConfigChange) write(b *strings.Builder, indent, what string) {
	if c.Secret {
		fmt.Fprintf(b, "%s~ %s%s: the secret changes\n", indent, what, c.Property)
		return
	}
	writeChange(b, indent, what+c.Property+": ", string(c.From), string(c.To))
}
