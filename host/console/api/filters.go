package api

// SiteFilters are the filters that every request to the site passes before
// anything else, in their order.
type SiteFilters struct {
	Filters []SiteFilter `json:"filters"`
}

// SiteFilter is a filter of the whole site.
type SiteFilter struct {
	Package string                 `json:"package"` // package@version
	Title   string                 `json:"title"`
	Grants  map[string]Permissions `json:"grants"` // what the owner gave, by package
}

// SiteFiltersRequest puts other filters before the site.
type SiteFiltersRequest struct {
	Filters []string `json:"filters" audit:"show"`          // package or package@version each
	Grants  []string `json:"grants,omitempty" audit:"show"` // for each of them, as far as its manifest asks: "all", "fetch:HOST"
	Why     string   `json:"why,omitempty" audit:"show"`
}
