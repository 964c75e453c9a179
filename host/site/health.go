package site

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// healthTime is how long a deployment may take to say that it is well.
const healthTime = 10 * time.Second

// start loads the deployment and asks for its health the way a visitor would:
// first its handler alone, which must give an answer below 400, then through
// its filters, which may send strangers away but must not fail.
func (d *deployment) start(ctx context.Context, g *generation, m *mount) error {
	c, err := d.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	for _, filter := range c.filters {
		if filter.Health != "" {
			if _, err := d.ask(ctx, g, m, filter, &chain{filters: []*unit{filter}}, http.StatusInternalServerError); err != nil {
				return err
			}
		}
	}
	if h := c.handler; h != nil && h.Health != "" {
		if _, err := d.ask(ctx, g, m, h, alone(h), http.StatusBadRequest); err != nil {
			return err
		}
		if len(c.filters) > 0 {
			if _, err := d.ask(ctx, g, m, h, c, http.StatusInternalServerError); err != nil {
				return err
			}
		}
	}
	return d.selfTest(ctx, g, m, c)
}

// alone is a chain of one handler.
func alone(u *unit) *chain { return &chain{handler: u} }

// ask requests the health path of a unit from a chain, whose answer must have
// a status below limit.
func (d *deployment) ask(ctx context.Context, g *generation, m *mount, u *unit, c *chain, limit int) (*answer, error) {
	path := strings.TrimSuffix(m.Path, "/") + "/" + strings.TrimPrefix(u.Health, "/")
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err == nil {
		_, err = plainPath(r.URL)
	}
	if err != nil {
		return nil, d.unhealthy(u, fmt.Errorf("health path %q: %w", u.Health, err))
	}
	r.RequestURI, r.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:0"
	r.Host = cmp.Or(m.Host, g.settings.Host, "localhost")
	r.Header.Set("User-Agent", "berth-health")
	out := &answer{header: http.Header{}}
	v := &visit{site: d.site, g: g, start: clock(), original: r, request: *r, mount: m, deployment: d, chain: c}
	v.w, v.id = out, v.ids.next()
	err = v.pass(c.filters, v, r, (*visit).handle)
	v.finish()
	switch {
	case err != nil:
		return nil, d.unhealthy(u, fmt.Errorf("its health path %s failed: %w", u.Health, err))
	case v.cut:
		return nil, d.unhealthy(u, fmt.Errorf("its health path %s failed: %w", u.Health, errCut))
	case out.status >= limit:
		return nil, d.unhealthy(u, fmt.Errorf("its health path %s answers %d: %s", u.Health, out.status, excerpt(out.body.Bytes())))
	}
	return out, nil
}

func (d *deployment) unhealthy(u *unit, err error) error {
	return &DeployError{Mount: d.place.mount(), Slot: d.place.slot, Unit: u.String(), Err: err}
}

// excerpt is what of a body fits into an error.
func excerpt(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 200)]), "")
	return fmt.Sprintf("%q", strings.TrimSpace(text))
}
