package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/berth-host/berth/abi"
	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/abi/httpwasm"
	"github.com/berth-host/berth/host/engine"
)

// migrationTime is how long a migration may take if [Options] do not say: it is
// no request, and may have much to do.
const migrationTime = 2 * time.Minute

// A Migration brings what a unit stores from one data version to another.
type Migration struct {
	Mount string // ID, whose log takes what the unit says
	Slot  Slot
	Path  string // of the mount
	Unit  *Unit  // the new one; its Data is what is migrated
	From  int
	To    int
}

// ErrMigration is what all errors of a migration that failed satisfy.
var ErrMigration = errors.New("the migration failed")

// Migrate runs a migration: an http-wasm module exports it, a command is run
// with the arguments "migrate", from and to. It may use its data, its files and
// its configuration, and may reach nobody. After an error the data is half
// migrated: the caller throws it away.
func (s *Site) Migrate(ctx context.Context, m Migration) error {
	if err := s.migrate(ctx, m); err != nil {
		return fmt.Errorf("%s@%s: %w from data version %d to %d: %w", m.Unit.Package, m.Unit.Version, ErrMigration, m.From, m.To, err)
	}
	return nil
}

func (s *Site) migrate(ctx context.Context, m Migration) error {
	if m.Unit.Code == nil {
		return errors.New("the package has no code that could migrate")
	}
	alone := *m.Unit
	alone.Dependencies, alone.Fetch = nil, nil
	u := &unit{Unit: &alone, site: s, place: s.place(m.Mount, m.Path, m.Slot)}
	module, err := s.options.Engine.Load(ctx, u.Code.Hash, u.Code.Open)
	if err != nil {
		return err
	}
	defer module.Release()
	if err := checkDialect(u.Dialect, module.Shape().Dialect); err != nil {
		return err
	}
	most := cmp.Or(s.options.MigrationTime, migrationTime)
	limits := engine.Limits{Timeout: most, Compute: most, Instances: 1, HostCalls: 100_000_000, Memory: u.Limits.Memory}
	pool, err := module.Pool(engine.PoolConfig{
		Name: u.String(), Isolation: engine.IsolationRequest, Limits: limits,
		Output:     func(line string) { u.log("info", "", line) },
		StartState: startState{u},
	})
	if err != nil {
		return err
	}
	u.pool = pool
	defer u.close(context.WithoutCancel(ctx))
	c := &call{}
	c.init(u, m.Path, "", "")
	c.exchange = httpwasm.Exchange{Config: u.Config, Log: c} // without a request
	defer c.session.Close()
	if u.Dialect == dialectCGI {
		return u.migrateCommand(ctx, c, m)
	}
	err = pool.Do(ctx, c, func(g abi.Guest) error { return httpwasm.Migrate(g, m.From, m.To) })
	return u.migrationError(err)
}

func (u *unit) migrateCommand(ctx context.Context, c *call, m Migration) error {
	said := &answer{header: http.Header{}}
	exit, err := u.pool.Command(ctx, engine.Command{
		Args: []string{u.Package, berth.MigrateCommand, fmt.Sprint(m.From), fmt.Sprint(m.To)}, Stdin: http.NoBody, Stdout: said,
	}, c)
	if err == nil && exit != 0 {
		err = fmt.Errorf("the program ended with exit code %d", exit)
	}
	return u.migrationError(err)
}

// migrationError logs what befell the migration.
func (u *unit) migrationError(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if trap, ok := errors.AsType[*engine.Trap](err); ok {
		err = trap.Cause
		text = strings.TrimSpace(err.Error() + "\n" + trap.Stack)
	}
	u.note("error", "", "migration: "+text)
	return err
}
