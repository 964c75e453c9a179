package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-host/berth/host/console/api"
)

// A sitePicture shows mounts and what they stand on, in layers from left to right:
// each package lies to the right of everything that calls it. The table beside
// it says the same.
type sitePicture struct {
	Width, Height int
	Boxes         []*siteBox
	Arrows        []arrow
	Rows          []pictureRow
	Versions      []string // packages that stand in several versions side by side
}

// A siteBox is a mount or a version of a package.
type siteBox struct {
	X, Y, W, H   int
	Title, Text  string // as they fit
	Whole        string // in full
	Mount        bool
	SideBySide   bool
	layer, place int
	key          string
}

// An arrow leads from a box to what it calls.
type arrow struct {
	Path string // of an SVG path
	Beta bool   // only in the beta
}

// A pictureRow is one arrow in words.
type pictureRow struct {
	From, Call, To string
	Slot           string // "production", "beta" or "both"
	SideBySide     bool
}

// Sizes in pixels. What has more boxes is no picture that anybody can read.
const (
	siteBoxWidth, siteBoxHeight = 212, 46
	layerGap, rowGap            = 84, 14
	edgeOfPicture               = 6
	maxSiteBoxes                = 48
	shownLetters                = 27
	curve                       = layerGap / 2
)

// What a mount does with a package that it does not call by a name of its own.
const (
	answers = "is answered by"
	passes  = "passes the filter"
)

type link struct{ from, to, call string }

// draw makes the picture of some mounts; nil when there is nothing to see, or
// too much.
func draw(mounts []api.Mount) *sitePicture {
	boxes := map[string]*siteBox{}
	slots := map[link]string{}
	var links []link
	add := func(slot string, l link) {
		switch was, ok := slots[l]; {
		case !ok:
			links, slots[l] = append(links, l), slot
		case was != slot:
			slots[l] = "both"
		}
	}
	for _, m := range mounts {
		key := " " + m.ID // no package is called so
		boxes[key] = &siteBox{Title: m.Host + m.Path, Whole: m.Host + m.Path, Text: "mount", Mount: true, key: key}
		for slot, d := range map[string]*api.Deployment{"production": m.Production, "beta": m.Beta} {
			if d == nil {
				continue
			}
			root := d.Package + "@" + d.Version
			add(slot, link{key, root, answers})
			for _, f := range d.Filters {
				add(slot, link{key, f, passes})
			}
			for _, e := range d.Edges {
				add(slot, link{e.From, e.Package + "@" + e.Version, e.Name})
			}
		}
	}
	for _, l := range links {
		for _, key := range []string{l.from, l.to} {
			if boxes[key] == nil {
				boxes[key] = packageBox(key)
			}
		}
	}
	if len(links) == 0 || len(boxes) > maxSiteBoxes {
		return nil
	}
	slices.SortFunc(links, func(a, b link) int {
		return cmp.Or(cmp.Compare(boxes[a.from].Whole, boxes[b.from].Whole), cmp.Compare(a.to, b.to), cmp.Compare(a.call, b.call))
	})
	p := &sitePicture{}
	p.sideBySide(boxes)
	p.arrange(boxes, links)
	for _, l := range links {
		from, to := boxes[l.from], boxes[l.to]
		p.Arrows = append(p.Arrows, arrow{arrowPath(from, to), slots[l] == "beta"})
		p.Rows = append(p.Rows, pictureRow{from.Whole, l.call, to.Whole, slots[l], to.SideBySide})
	}
	return p
}

func packageBox(key string) *siteBox {
	pkg, version, _ := strings.Cut(key, "@")
	name := pkg[strings.LastIndex(pkg, "/")+1:]
	return &siteBox{Title: name + " " + version, Text: pkg, Whole: pkg + " " + version, key: key}
}

// sideBySide marks packages that stand in several versions.
func (p *sitePicture) sideBySide(boxes map[string]*siteBox) {
	versions := map[string][]*siteBox{}
	for _, b := range boxes {
		if !b.Mount {
			versions[b.Text] = append(versions[b.Text], b)
		}
	}
	for pkg, list := range versions {
		if len(list) < 2 {
			continue
		}
		p.Versions = append(p.Versions, pkg)
		for _, b := range list {
			b.SideBySide = true
		}
	}
	slices.Sort(p.Versions)
}

// arrange puts each box one layer to the right of the last that leads to it,
// and in its layer near those.
func (p *sitePicture) arrange(boxes map[string]*siteBox, links []link) {
	for range boxes { // a way is never longer than there are boxes; there are no cycles
		for _, l := range links {
			boxes[l.to].layer = max(boxes[l.to].layer, boxes[l.from].layer+1)
		}
	}
	var layers [][]*siteBox
	for _, b := range boxes {
		b.layer = min(b.layer, len(boxes))
		for len(layers) <= b.layer {
			layers = append(layers, nil)
		}
		layers[b.layer] = append(layers[b.layer], b)
		p.Boxes = append(p.Boxes, b)
	}
	tallest := 0
	for n, layer := range layers {
		slices.SortFunc(layer, func(a, b *siteBox) int {
			return cmp.Or(cmp.Compare(weight(a, boxes, links), weight(b, boxes, links)), cmp.Compare(a.Whole, b.Whole))
		})
		for i, b := range layer {
			b.place = i
			b.X, b.Y = edgeOfPicture+n*(siteBoxWidth+layerGap), edgeOfPicture+i*(siteBoxHeight+rowGap)
			b.W, b.H = siteBoxWidth, siteBoxHeight
			b.Title, b.Text = shorten(b.Title), shorten(b.Text)
		}
		tallest = max(tallest, len(layer))
	}
	for _, layer := range layers { // each stands in the middle
		for _, b := range layer {
			b.Y += (tallest - len(layer)) * (siteBoxHeight + rowGap) / 2
		}
	}
	slices.SortFunc(p.Boxes, func(a, b *siteBox) int { return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(a.place, b.place)) })
	p.Width = 2*edgeOfPicture + len(layers)*(siteBoxWidth+layerGap) - layerGap
	p.Height = 2*edgeOfPicture + tallest*(siteBoxHeight+rowGap) - rowGap
}

// weight is the middle of the places from which arrows lead to a box, in
// hundredths.
func weight(b *siteBox, boxes map[string]*siteBox, links []link) int {
	sum, n := 0, 0
	for _, l := range links {
		if l.to == b.key && boxes[l.from].layer < b.layer {
			sum, n = sum+100*boxes[l.from].place, n+1
		}
	}
	if n == 0 {
		return 0
	}
	return sum / n
}

// arrowPath is a curve from the right side of a box to the left of another.
func arrowPath(from, to *siteBox) string {
	x1, y1 := from.X+from.W, from.Y+from.H/2
	x2, y2 := to.X, to.Y+to.H/2
	return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+curve, y1, x2-curve, y2, x2-2, y2)
}

func shorten(text string) string {
	letters := []rune(text)
	if len(letters) <= shownLetters {
		return text
	}
	return string(letters[:shownLetters-1]) + "…"
}
