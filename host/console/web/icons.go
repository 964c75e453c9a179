package web

import "html/template"

// icons are drawn on a field of 24 by 24, in lines of the text's colour.
var icons = map[string]string{
	"home":     `<path d="M4 11.5 12 5l8 6.5"/><path d="M6 10.5V19h12v-8.5"/><path d="M10 19v-5h4v5"/>`,
	"modules":  `<path d="M12 3.5 19.5 7.5v9L12 20.5l-7.5-4v-9z"/><path d="M4.5 7.5 12 11.5l7.5-4M12 11.5v9"/>`,
	"sitemap":  `<rect x="9" y="3.5" width="6" height="5" rx="1"/><rect x="3" y="15.5" width="6" height="5" rx="1"/><rect x="15" y="15.5" width="6" height="5" rx="1"/><path d="M12 8.5V12M6 15.5V12h12v3.5"/>`,
	"settings": `<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/><circle cx="9" cy="17" r="2"/>`,
	"releases": `<circle cx="6" cy="6" r="2.2"/><circle cx="6" cy="18" r="2.2"/><circle cx="18" cy="9" r="2.2"/><path d="M6 8.2v7.6M18 11.2c0 3-4 3.3-7 3.8-2 .3-3 .8-3.5 1.5"/>`,
	"traffic":  `<path d="M4 19.5h16"/><path d="m4.5 15 4.5-5 4 3 6-7.5"/>`,
	"logs":     `<path d="M6 3.5h9l4 4v13H6z"/><path d="M14.5 3.5V8H19M9 12h7M9 16h5"/>`,
	"access":   `<circle cx="8" cy="14.5" r="4"/><path d="m11 11.5 8-8M16 6.5l2.5 2.5"/>`,
	"system":   `<rect x="4" y="4.5" width="16" height="6" rx="1.5"/><rect x="4" y="13.5" width="16" height="6" rx="1.5"/><path d="M7.5 7.5h.01M7.5 16.5h.01M12 7.5h5M12 16.5h5"/>`,
	"search":   `<circle cx="11" cy="11" r="6"/><path d="m15.5 15.5 4.5 4.5"/>`,
	"check":    `<path d="m5 12.5 4.5 4.5L19 7.5"/>`,
	"dot":      `<circle cx="12" cy="12" r="4"/>`,
	"warn":     `<path d="M12 4 21 19.5H3z"/><path d="M12 10v4.5M12 17h.01"/>`,
	"cross":    `<path d="m6 6 12 12M18 6 6 18"/>`,
	"info":     `<circle cx="12" cy="12" r="8.5"/><path d="M12 11v5M12 8h.01"/>`,
	"user":     `<circle cx="12" cy="8.5" r="3.5"/><path d="M5 20c.7-4 3.5-5.5 7-5.5s6.3 1.5 7 5.5"/>`,
	"open":     `<circle cx="12" cy="12" r="8.5"/><path d="M3.5 12h17M12 3.5c5 5 5 12 0 17M12 3.5c-5 5-5 12 0 17"/>`,
	"closed":   `<rect x="5.5" y="11" width="13" height="9" rx="1.5"/><path d="M8.5 11V8a3.5 3.5 0 0 1 7 0v3"/>`,
	"plus":     `<path d="M12 5v14M5 12h14"/>`,
	"edit":     `<path d="m5 19 1-4.5L16.5 4 20 7.5 9.5 18z"/><path d="m14 6.5 3.5 3.5"/>`,
	"out":      `<path d="M13.5 5H19v5.5M19 5l-8.5 8.5M16.5 14v5H5V7.5h5"/>`,
	"arrow":    `<path d="M5 12h14M13 6l6 6-6 6"/>`,
	"undo":     `<path d="M8.5 5 4.5 9l4 4"/><path d="M4.5 9H14a5 5 0 0 1 0 10H8"/>`,
	"clock":    `<circle cx="12" cy="12" r="8.5"/><path d="M12 7v5l3.5 2"/>`,
}

// icon draws one; it says nothing to who can't see it.
func icon(name string) template.HTML {
	lines, ok := icons[name]
	if !ok {
		panic("BUG: there is no icon " + name)
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">` + lines + `</svg>`)
}
