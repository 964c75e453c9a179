package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/berth-host/berth/host/console/api"
)

// A changed is one thing that differs, such as a mount, with what differs in it.
type changed struct {
	Title, Kind string
	Href        string // its page; "" when it has none, or is gone
	Groups      []changeGroup
}

// maxChanged bounds the things that a page lists.
const maxChanged = 200

// A changeGroup is what differs of one sort.
type changeGroup struct {
	Slot  string // "production", "beta" or ""
	Title string
	Items []changeItem
}

// filesTitle is the title of the group of files.
const filesTitle = "Files"

// A changeItem is one difference, in words.
type changeItem struct {
	Kind      string // added, removed, changed or moved
	What      string
	From, To  string // "" for none
	More      string
	Important bool
}

// siteChanges tells what differs between two revisions.
func siteChanges(d api.SiteDiff) (list []changed) {
	site := changed{Title: "The whole site", Kind: "changed", Href: "/system"}
	site.add("", "Site", fieldItems(d.Fields))
	if d.Filters != nil {
		site.Groups = append(site.Groups, slotChanges("", d.Filters)...)
	}
	site.add("", "Shared settings", configItems(d.Shared))
	site.add("", "Settings of modules", configItems(d.Packages))
	if len(site.Groups) > 0 {
		list = append(list, site)
	}
	for _, m := range d.Mounts {
		c := changed{Title: m.Route, Kind: m.Kind}
		if m.Kind != "removed" {
			c.Href = mountHref(m.ID)
		}
		c.add("", "Mount", fieldItems(m.Fields))
		c.Groups = append(c.Groups, slotChanges("production", m.Production)...)
		c.Groups = append(c.Groups, slotChanges("beta", m.Beta)...)
		list = append(list, c)
	}
	return list
}

func (c *changed) add(slot, title string, items []changeItem) {
	c.Groups = addGroup(c.Groups, slot, title, items)
}

func addGroup(groups []changeGroup, slot, title string, items []changeItem) []changeGroup {
	if len(items) == 0 {
		return groups
	}
	return append(groups, changeGroup{slot, title, items})
}

// slotChanges tells what differs between two deployments; nil: nothing.
func slotChanges(slot string, d *api.SlotDiff) (groups []changeGroup) {
	if d == nil {
		return nil
	}
	add := func(title string, items []changeItem) { groups = addGroup(groups, slot, title, items) }
	if d.From != d.To {
		add("Module", []changeItem{{Kind: kindOf(d.From, d.To), From: d.From, To: d.To}})
	}
	var files, versions, permissions, filters []changeItem
	wholly := d.From == "" || d.To == "" // then all its files come or go with it
	for _, f := range d.Files {
		if wholly {
			break
		}
		files = append(files, changeItem{Kind: f.Kind, What: f.Path})
	}
	for _, v := range d.Versions {
		versions = append(versions, changeItem{Kind: v.Kind, What: v.Edge, From: v.From, To: v.To})
	}
	for _, p := range d.Permissions {
		name := p.Permission
		if p.Host != "" {
			name += ":" + p.Host
		}
		item := changeItem{Kind: p.Kind, What: p.Package + ": " + strings.ToLower(permissionText(name)), Important: p.Kind == "added"}
		if p.Reason != "" {
			item.More = "Its author says: " + p.Reason
		}
		permissions = append(permissions, item)
	}
	for _, f := range d.Filters {
		item := changeItem{Kind: f.Kind, What: f.Package, From: f.From, To: f.To}
		if f.Kind == "moved" {
			item.More = "to another place in the order"
		}
		filters = append(filters, item)
	}
	add(filesTitle, files)
	add("Modules that it calls", versions)
	add("Settings", configItems(d.Config))
	add("Permissions", permissions)
	add("Filters", filters)
	if d.Data != nil {
		item := changeItem{Kind: "changed", What: "Version of the stored data", From: fmt.Sprint(d.Data.From), To: fmt.Sprint(d.Data.To), Important: true}
		if d.Data.BackLosesWrites {
			item.More = "Going back later loses what is written from then on."
		}
		if d.Data.LosesWrites {
			item.More = "What was written since the older data was kept is lost."
		}
		add("Data", []changeItem{item})
	}
	return groups
}

func kindOf(from, to string) string {
	switch {
	case from == "":
		return "added"
	case to == "":
		return "removed"
	}
	return "changed"
}

// fieldNames are settings of the site and of mounts, for people.
var fieldNames = map[string]string{
	"title": "Title", "host": "Host name", "betaHost": "Host name of the beta", "open": "Open to visitors",
	"route": "Path", "betaPolicy": "Who sees the beta", "disabled": "Switched off",
}

func fieldItems(fields []api.FieldDiff) (items []changeItem) {
	for _, f := range fields {
		items = append(items, changeItem{Kind: "changed", What: cmp.Or(fieldNames[f.Field], f.Field), From: fieldText(f.Field, f.From), To: fieldText(f.Field, f.To)})
	}
	return items
}

// fieldText shows a setting's value. An empty one is said to be none, or an
// arrow would lead from or to nothing.
func fieldText(field, value string) string {
	if field == "open" {
		return map[string]string{"true": "yes", "false": "no"}[value]
	}
	if field == "betaPolicy" {
		mode, share, _ := strings.Cut(value, " ")
		if mode == "share" {
			return share + " of visitors"
		}
		return policyText(mode)
	}
	return cmp.Or(value, "none")
}

func configItems(values []api.ConfigDiff) (items []changeItem) {
	for _, v := range values {
		item := changeItem{What: cmp.Or(v.Label, v.Property), From: jsonText(v.From), To: jsonText(v.To)}
		item.Kind = kindOf(item.From, item.To)
		if v.Secret {
			item.Kind, item.More = "changed", "It is a secret, which is not shown."
		}
		if v.Package != "" {
			item.What += " of " + v.Package
		}
		items = append(items, item)
	}
	return items
}

// jsonText shows a value as people write it: a text without quotes.
func jsonText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		return text
	}
	return string(raw)
}

// moveText says what happens to stored data, and what is lost by it.
func moveText(m api.DataMove) string {
	whose := "The data of " + m.Package + " at " + m.Mount
	if m.Slot == "beta" {
		whose = "What the beta sees of the data of " + m.Package + " at " + m.Mount
	}
	if m.Kind != "restore" {
		return fmt.Sprintf("%s goes from version %d to %d: %s, on a copy. The data as it is now is kept, for the way back.", whose, m.From, m.To, plural(m.Keys, "stored value"))
	}
	text := fmt.Sprintf("%s goes back to how it was on %s.", whose, m.Since.UTC().Format("2 January 2006, 15:04 UTC"))
	if m.Since.IsZero() {
		text = fmt.Sprintf("%s goes back to version %d.", whose, m.To)
	}
	if m.Lost == 0 {
		return text + " Nothing is lost by it."
	}
	return text + " " + capital(plural(m.Lost, "stored value")) + " written since will be lost."
}

// loses reports whether something that was written is given up.
func loses(moves []api.DataMove) bool {
	for _, m := range moves {
		if m.Lost > 0 {
			return true
		}
	}
	return false
}
