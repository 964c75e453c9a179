package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// comparePages compare versions of packages, and list those of a copy.
var comparePages = []page{
	{method: "GET", path: "/modules/compare", scope: console.ScopeRead, serve: (*request).comparePage},
	{method: "GET", path: "/modules/versions", scope: console.ScopeRead, serve: ofCopy((*request).versionsPage)},
}

// compareHref is where two versions, or a draft, are compared.
func compareHref(from, to string) string {
	return "/modules/compare?" + url.Values{"from": {from}, "to": {to}}.Encode()
}

type compareView struct {
	Package  string // of the copy, "" when it is about none
	From, To string
	Choices  []string // what can be compared
	Split    bool
	Diff     *api.FilesDiff // nil: nothing was chosen yet
	Files    []comparedFile
	Error    *console.Error
}

// A comparedFile is a file as the page shows it.
type comparedFile struct {
	api.FileDiff
	Rows []compareRow
}

// A compareRow is one row of a comparison. Side by side, a line that was
// replaced stands beside the one in its place.
type compareRow struct {
	Gap         string // in place of lines: which lines follow
	Left, Right compareCell
}

type compareCell struct {
	Number int // 0: there is no line on this side
	Class  string
	Sign   string
	Text   string
}

func (r *request) comparePage() error {
	v := compareView{From: r.FormValue("from"), To: r.FormValue("to"), Split: r.FormValue("view") == "split"}
	if err := r.compareChoices(&v); err != nil {
		return err
	}
	if v.From == "" || v.To == "" {
		return r.show(layout{Title: "Compare", Template: "compare", Data: v, Styles: []string{"editor.css"}})
	}
	var diff api.FilesDiff
	err := r.get("/packages/diff?"+url.Values{"from": {v.From}, "to": {v.To}}.Encode(), &diff)
	if e := apiError(err); e != nil {
		v.Error = e
		return r.answer(e.Status, layout{Title: "Compare", Template: "compare", Data: v, Styles: []string{"editor.css"}})
	}
	if err != nil {
		return err
	}
	v.Diff = &diff
	for _, f := range diff.Files {
		v.Files = append(v.Files, comparedFile{f, compareRows(f.Hunks, v.Split)})
	}
	return r.answer(http.StatusOK, layout{Title: "Compare", Template: "compare", Data: v, Styles: []string{"editor.css"}})
}

// compareChoices lists what a copy can be compared with: its draft, its
// versions, and those of its original.
func (r *request) compareChoices(v *compareView) error {
	var copies []api.Copy
	if err := r.get("/copies", &copies); err != nil {
		return err
	}
	var c *api.Copy
	for i := range copies {
		if strings.HasPrefix(v.To, copies[i].Package+"@") || strings.HasPrefix(v.From, copies[i].Package+"@") {
			c = &copies[i]
		}
	}
	if c == nil {
		return nil
	}
	v.Package = c.Package
	v.Choices = []string{c.Package + "@draft"}
	var versions []api.CopyVersion
	if err := r.get("/copies/versions?"+url.Values{"package": {c.Package}}.Encode(), &versions); err != nil {
		return err
	}
	for _, version := range versions {
		if version.Installed {
			v.Choices = append(v.Choices, c.Package+"@"+version.Version)
		}
	}
	original, _, _ := strings.Cut(c.Origin, "@")
	var packages []api.Package
	if err := r.get("/packages", &packages); err != nil {
		return err
	}
	for _, p := range packages {
		if p.Package == original {
			v.Choices = append(v.Choices, p.Package+"@"+p.Version)
		}
	}
	v.From = cmp.Or(v.From, c.Upstream)
	return nil
}

func compareRows(hunks []api.DiffHunk, split bool) (rows []compareRow) {
	for _, h := range hunks {
		rows = append(rows, compareRow{Gap: fmt.Sprintf("lines %d to %d", max(h.To, 1), max(h.To+h.ToLines-1, h.To, 1))})
		if !split {
			for _, line := range h.Lines {
				row := compareRow{Left: compareCell{Number: line.From}, Right: cellOf(line)}
				row.Right.Number = line.To
				rows = append(rows, row)
			}
			continue
		}
		rows = append(rows, splitRows(h.Lines)...)
	}
	return rows
}

func cellOf(line api.DiffLine) compareCell {
	c := compareCell{Number: cmp.Or(line.To, line.From), Text: strings.TrimRight(line.Text, "\r\n")}
	switch line.Op {
	case "+":
		c.Class, c.Sign = "added", "+"
	case "-":
		c.Class, c.Sign = "removed", "−"
	}
	return c
}

// splitRows puts lines side by side.
func splitRows(lines []api.DiffLine) (rows []compareRow) {
	for len(lines) > 0 {
		if lines[0].Op == " " {
			right := cellOf(lines[0])
			left := right
			left.Number = lines[0].From
			rows, lines = append(rows, compareRow{Left: left, Right: right}), lines[1:]
			continue
		}
		removed := 0
		for removed < len(lines) && lines[removed].Op == "-" {
			removed++
		}
		added := removed
		for added < len(lines) && lines[added].Op == "+" {
			added++
		}
		for i := range max(removed, added-removed) {
			var row compareRow
			if i < removed {
				row.Left = cellOf(lines[i])
				row.Left.Number = lines[i].From
			}
			if removed+i < added {
				row.Right = cellOf(lines[removed+i])
			}
			rows = append(rows, row)
		}
		lines = lines[added:]
	}
	return rows
}

type versionsView struct {
	Copy     api.Copy
	Versions []api.CopyVersion
}

func (r *request) versionsPage() error {
	var v versionsView
	q := url.Values{"package": {r.FormValue("package")}}.Encode()
	if err := r.get("/copies/one?"+q, &v.Copy); err != nil {
		return err
	}
	if err := r.get("/copies/versions?"+q, &v.Versions); err != nil {
		return err
	}
	return r.show(layout{Title: "Versions of " + v.Copy.Title, Template: "edit/versions", Data: v})
}
