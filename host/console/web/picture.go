package web

import (
	"slices"

	"github.com/berth-host/berth/host/console/api"
)

// A picture is who needs whom, drawn in columns: what is needed stands to the
// right of what needs it.
type picture struct {
	Width, Height int
	Boxes         []box
	Lines         []line
}

type box struct {
	X, Y          int
	Name, Version string
	New           bool
}

type line struct{ X1, Y1, X2, Y2, Bend int }

// Sizes in a picture.
const (
	boxWidth  = 220
	boxHeight = 56
	boxGapX   = 70
	boxGapY   = 18
	// maxPicture is how many packages are drawn; more are told by the table.
	maxPicture = 60
)

// drawPlan draws what a plan stands on; one package alone is no picture.
func drawPlan(plan *api.Plan) (p picture) {
	if len(plan.Packages) < 2 || len(plan.Packages) > maxPicture {
		return p
	}
	column := columns(plan)
	place := map[string]box{}
	var filled []int // boxes in each column
	for _, pkg := range plan.Packages {
		id := pkg.Package.Package + "@" + pkg.Package.Version
		c := column[id]
		for len(filled) <= c {
			filled = append(filled, 0)
		}
		b := box{X: 1 + c*(boxWidth+boxGapX), Y: 1 + filled[c]*(boxHeight+boxGapY), Name: pkg.Package.Package, Version: pkg.Package.Version, New: pkg.New}
		filled[c]++
		place[id] = b
		p.Boxes = append(p.Boxes, b)
	}
	for _, e := range plan.Edges {
		from, to := place[e.From], place[e.Package+"@"+e.Chosen]
		p.Lines = append(p.Lines, line{from.X + boxWidth, from.Y + boxHeight/2, to.X, to.Y + boxHeight/2, (from.X + boxWidth + to.X) / 2})
	}
	p.Width = 2 + len(filled)*(boxWidth+boxGapX) - boxGapX
	p.Height = 2 + slices.Max(filled)*(boxHeight+boxGapY) - boxGapY
	return p
}

// columns puts each package to the right of all that need it.
func columns(plan *api.Plan) map[string]int {
	column := map[string]int{plan.Root: 0}
	// No path is longer than there are packages, and a cycle is refused before.
	for range plan.Packages {
		for _, e := range plan.Edges {
			to := e.Package + "@" + e.Chosen
			column[to] = max(column[to], column[e.From]+1)
		}
	}
	for id, c := range column {
		column[id] = min(c, len(plan.Packages)-1)
	}
	return column
}
