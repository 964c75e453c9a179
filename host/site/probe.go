package site

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Alive takes the way of a request up to its mount, and no further: no module
// is asked. That it returns says that the router works.
func (s *Site) Alive() {
	g := s.enter()
	defer g.leave()
	g.routes.find("", "/")
}

// AnyMount returns the ID of a mount whose production answers, the first by
// route; "" if there is none.
func (s *Site) AnyMount() string {
	g := s.enter()
	defer g.leave()
	for m := range g.routes.all {
		if m.production != nil && m.Disabled == "" {
			return m.ID
		}
	}
	return ""
}

// Disabled lists the mounts whose production answers 503.
func (s *Site) Disabled() (list []Mount) {
	g := s.enter()
	defer g.leave()
	for m := range g.routes.all {
		if m.Disabled != "" {
			list = append(list, m.Mount)
		}
	}
	return list
}

// MissingFilters are the filters for lack of which the whole site answers 503;
// see [Settings]. The map is not to be changed.
func (s *Site) MissingFilters() map[string]string {
	g := s.enter()
	defer g.leave()
	return g.settings.Missing
}

// FiltersError says why the filters of the whole site could not be started when
// they were last tried; nil if they could, or were not tried yet.
func (s *Site) FiltersError() error {
	g := s.enter()
	defer g.leave()
	if g.filters == nil {
		return nil
	}
	return g.filters.failed()
}

// Ask requests a mount as a visitor would, through the router and all filters
// but past whether the site is open, and returns the status of the answer, 0
// for none. The mount's health path is asked where there is one, else its
// root. An error says that a module failed. Nothing is counted.
func (s *Site) Ask(ctx context.Context, mountID string) (status int, err error) {
	g := s.enter()
	defer g.leave()
	var m *mount
	for candidate := range g.routes.all {
		if candidate.ID == mountID {
			m = candidate
			break
		}
	}
	if m == nil {
		return 0, fmt.Errorf("there is no mount %q", mountID)
	}
	path := m.Path
	if h := handlerOf(m.production); h != nil && h.Health != "" {
		path = strings.TrimSuffix(m.Path, "/") + "/" + strings.TrimPrefix(h.Health, "/")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return 0, err
	}
	r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	r.Host = cmp.Or(m.Host, g.settings.Host, "localhost")
	r.Header.Set("User-Agent", "berth-self-test")
	out := &discarding{header: http.Header{}}
	v := &visit{site: s, g: g, start: clock(), original: r, request: *r}
	v.w, v.id = out, v.ids.next()
	err = v.dispatch(v, r)
	v.finish()
	return v.status, err
}

func handlerOf(d *deployment) *Unit {
	if d == nil || d.spec == nil {
		return nil
	}
	return d.spec.Handler
}

// discarding takes an answer of which only the status counts.
type discarding struct{ header http.Header }

func (d *discarding) Header() http.Header         { return d.header }
func (d *discarding) WriteHeader(int)             {}
func (d *discarding) Write(b []byte) (int, error) { return len(b), nil }
