package site

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// selfTestTime is how long the interpreter may take for one health path. It is
// some forty times slower than machine code.
const selfTestTime = 20 * time.Second

// selfTest compares what the handler's health path answers from machine code
// with what the interpreter says: compilers have been wrong about modules. If
// the two differ, the machine code is not used from now on, and the deployment
// is loaded again.
//
// What cannot be compared is trusted: answers that are never the same, and
// what the interpreter does not manage in time.
func (d *deployment) selfTest(ctx context.Context, g *generation, m *mount, c *chain) error {
	u := c.handler
	if u == nil || u.Health == "" || u.pool == nil || u.interpreted {
		return nil
	}
	tested := u.Code.Hash + " " + u.Health
	if _, done := d.site.tested.LoadOrStore(tested, true); done {
		return nil
	}
	first, err := d.ask(ctx, g, m, u, alone(u), http.StatusBadRequest)
	if err != nil {
		return err
	}
	second, err := d.ask(ctx, g, m, u, alone(u), http.StatusBadRequest)
	if err != nil {
		return err
	}
	if first.differs(second) != "" {
		return nil
	}
	slow, cancel := context.WithTimeout(context.WithoutCancel(ctx), selfTestTime)
	defer cancel()
	twin, err := u.interpreter(slow)
	if err == nil {
		defer twin.close(context.Background()) // nobody else knows it
		second, err = d.ask(slow, g, m, twin, alone(twin), http.StatusBadRequest)
	}
	if err != nil {
		u.note("info", "", "the self-test was left out, because the interpreter gave no answer: "+err.Error())
		return nil
	}
	difference := first.differs(second)
	if difference == "" {
		return nil
	}
	reason := fmt.Sprintf("its health path %s answers differently from machine code and from the interpreter: %s", u.Health, difference)
	if err := d.site.options.Engine.Distrust(u.Code.Hash, reason); err != nil {
		return d.unhealthy(u, fmt.Errorf("%s; noting that failed: %w", reason, err))
	}
	u.note("error", "", reason+". The interpreter serves it from now on, which is slower; tell the author, and berth's.")
	d.site.log.Error("the compiler is wrong about a module", "module", u.String(), "hash", u.Code.Hash, "reason", reason)
	again, err := d.site.load(ctx, d.place, d.spec)
	if err != nil {
		return err
	}
	d.ready.Store(again)
	c.close(context.Background()) // no visitor was sent there
	return nil
}

// interpreter returns the unit as the interpreter runs it.
func (u *unit) interpreter(ctx context.Context) (*unit, error) {
	spec := *u.Unit
	spec.Interpreted = true
	spec.Limits.Timeout, spec.Limits.Compute = selfTestTime, selfTestTime
	twin := &unit{Unit: &spec, site: u.site, place: u.place, dependencies: u.dependencies}
	if err := twin.load(ctx, 0); err != nil {
		twin.close(ctx)
		return nil, err
	}
	return twin, nil
}

// differs says in what two answers do; "" if they are the same but for the
// IDs of their requests.
func (a *answer) differs(b *answer) string {
	a.header.Del("X-Request-Id")
	b.header.Del("X-Request-Id")
	switch {
	case a.status != b.status:
		return fmt.Sprintf("status %d and %d", a.status, b.status)
	case !maps.EqualFunc(a.header, b.header, slices.Equal[[]string]):
		return "header fields"
	case !bytes.Equal(a.body.Bytes(), b.body.Bytes()):
		return fmt.Sprintf("%s and %s", excerpt(a.body.Bytes()), excerpt(b.body.Bytes()))
	}
	return ""
}
