package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/cgi"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/assets"
	"github.com/berth-host/berth/host/egress"
	"github.com/berth-host/berth/host/engine"
)

// Dialects that units speak.
const (
	dialectHTTPWasm = "http-wasm"
	dialectCGI      = "cgi"
)

// A unit is a [Unit] at work: its code in a pool of instances, its assets, and
// what its code may reach.
type unit struct {
	*Unit
	site         *Site
	place        *place
	pool         *engine.Pool   // nil without code
	again        *engine.Pool   // for calls by which the unit reaches itself; nil if it cannot
	assets       *assets.Assets // nil without assets
	grants       egress.Grants
	dependencies map[string]*unit
	fields       httpwasm.FieldCache // of its answers
	interpreted  bool                // instead of compiled
}

// next passes a request on to what stands behind a filter.
type next = func(http.ResponseWriter, *http.Request) error

func (u *unit) String() string { return u.Package + "@" + u.Version }

// load makes the unit ready but for its dependencies. behind is the time that
// what stands behind a filter may take: it passes while the filter waits.
func (u *unit) load(ctx context.Context, behind time.Duration) error {
	var err error
	if u.grants, err = egress.ParseGrants(u.Fetch); err != nil {
		return err
	}
	if len(u.Assets) > 0 {
		if u.assets, err = assets.New(u.files(), u.Assets, u.site.assets); err != nil {
			return err
		}
	}
	if u.Code == nil {
		return nil
	}
	load := u.site.options.Engine.Load
	if u.Interpreted {
		load = u.site.options.Engine.LoadInterpreted
	}
	module, err := load(ctx, u.Code.Hash, u.Code.Open)
	if err != nil {
		return err
	}
	defer module.Release() // the pool holds on to it
	u.interpreted = module.Interpreted()
	if err := checkDialect(u.Dialect, module.Shape().Dialect); err != nil {
		return err
	}
	limits := u.Limits
	limits.Timeout = limitOf(u) + behind
	config := engine.PoolConfig{
		Name: u.String(), Isolation: u.Isolation, Limits: limits,
		Output:     func(line string) { u.log("info", "", line) },
		StartState: startState{u},
	}
	if u.pool, err = module.Pool(config); err != nil || !u.reaches(u, map[*unit]bool{}) {
		return err
	}
	// A call in a circle must not wait for an instance that its own callers
	// hold: there is room for all that can be under way.
	config.Limits.Instances = cmp.Or(limits.Instances, engine.DefaultLimits.Instances) * MaxDepth
	u.again, err = module.Pool(config)
	return err
}

// reaches reports whether calls lead from u to the other unit.
func (u *unit) reaches(other *unit, seen map[*unit]bool) bool {
	for _, dependency := range u.dependencies {
		if dependency == other {
			return true
		}
		if !seen[dependency] {
			seen[dependency] = true
			if dependency.reaches(other, seen) {
				return true
			}
		}
	}
	return false
}

// pools lists the unit's pools.
func (u *unit) pools(yield func(*engine.Pool) bool) {
	for _, p := range []*engine.Pool{u.pool, u.again} {
		if p != nil && !yield(p) {
			return
		}
	}
}

func checkDialect(want, speaks string) error {
	switch {
	case want == dialectHTTPWasm && speaks == httpwasm.Dialect.Name, want == dialectCGI && speaks == engine.DialectCommand:
		return nil
	case want == dialectHTTPWasm:
		return errors.New("its module is no http-wasm handler: it does not export handle_request")
	case want == dialectCGI:
		return errors.New("its module is no CGI program: it does not export _start, or it speaks http-wasm")
	}
	return fmt.Errorf("it speaks %q, which this server does not know", want)
}

func (u *unit) files() fs.FS {
	if u.Files == nil {
		return noFiles{}
	}
	return u.Files
}

type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (u *unit) log(level, request, text string) {
	u.place.log.add(u.line(level, request, text))
}

// note logs what befell the unit.
func (u *unit) note(level, request, text string) {
	u.place.log.note(u.line(level, request, text))
}

func (u *unit) line(level, request, text string) LogLine {
	return LogLine{Time: time.Now(), Level: level, Request: request, Package: u.String(), Text: text}
}

// failed notes an answer that the unit owed, and tells whoever watches over
// failing modules; a full or a slow queue is no failure of the module.
func (u *unit) failed(request string, err error) {
	trap, trapped := errors.AsType[*engine.Trap](err)
	if errors.Is(err, engine.ErrBusy) || errors.Is(err, engine.ErrClosed) || errors.Is(err, engine.ErrTimeout) && !trapped {
		u.note("warn", request, err.Error())
		return
	}
	text := err.Error()
	if trapped {
		u.place.stats.Trapped()
		u.place.keepTrap(u.String(), request, trap)
		if text = trap.Cause.Error(); trap.Stack != "" {
			text += "\n" + trap.Stack
		}
	}
	u.note("error", request, text)
	u.site.failure(u.place, request, u.String(), err)
}

// serve answers a request by the unit's code, in an instance that c has to
// itself. started reports whether the head of the answer is on its way, so
// that after an error no other answer can be given.
//
// Errors are those of [engine.Pool.Do], a [*localRedirect] or a [*commandError].
func (u *unit) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, behind next) (started bool, err error) {
	if u.Dialect == dialectCGI {
		return u.run(ctx, w, r, c)
	}
	c.exchange = httpwasm.Exchange{Request: r, Response: w, Next: behind, Config: u.Config, Log: c, Fields: &u.fields}
	defer c.session.Close()
	err = c.pool().Do(ctx, c, exchange)
	return c.exchange.Started(), err
}

func exchange(g abi.Guest) error { return httpwasm.Serve(g, g.State().(*call).HTTP()) }

// run answers a request by a CGI program.
func (u *unit) run(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call) (started bool, err error) {
	script := ""
	if rest, ok := below(c.mount, r.URL.Path); ok && c.depth == 0 {
		script = r.URL.Path[:len(r.URL.Path)-len(rest)]
	}
	defer c.session.Close()
	response := cgi.NewResponse(w)
	exit, err := c.pool().Command(ctx, engine.Command{Args: []string{u.Package}, Env: cgi.Env(r, script), Stdin: r.Body, Stdout: response}, c)
	switch {
	case err != nil:
	case exit != 0 && !response.Started():
		err = &commandError{fmt.Errorf("the program ended with exit code %d", exit)}
	case exit != 0:
		u.note("warn", c.request, fmt.Sprintf("the program ended with exit code %d", exit))
	default:
		if err = response.Finish(); err != nil {
			err = &commandError{err}
		} else if target := response.Redirect(); target != "" {
			err = &localRedirect{target}
		}
	}
	return response.Started(), err
}

// A commandError is a CGI program that ended without an answer.
type commandError struct{ err error }

func (e *commandError) Error() string { return e.err.Error() }
func (e *commandError) Unwrap() error { return e.err }

// A localRedirect asks the server to answer as if another of its addresses had
// been asked for (RFC 3875, section 6.2.2).
type localRedirect struct{ target string }

func (e *localRedirect) Error() string { return "local redirect to " + e.target }

// close lets the running calls finish and gives everything back.
func (u *unit) close(ctx context.Context) {
	for p := range u.pools {
		// An error says that calls still run: the pool closes after them.
		_ = p.Close(ctx)
	}
}
