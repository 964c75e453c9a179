package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/berth-host/berth/failsafe/protocol"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/revision"
)

// A Restart is how [Server.Run] ends when the owner asked for another start:
// the process is to end with Code after it has handed on Options.
type Restart struct {
	Code    int // of package protocol
	Options []string
}

func (r *Restart) Error() string { return fmt.Sprintf("another start was asked for (code %d)", r.Code) }

// restartCodes are the exit codes by mode.
var restartCodes = map[protocol.Mode]int{
	"":                protocol.ExitAgain,
	protocol.Normal:   protocol.ExitNormal,
	protocol.Debug:    protocol.ExitDebug,
	protocol.LastGood: protocol.ExitLastGood,
	protocol.Failsafe: protocol.ExitFailsafe,
}

func (s *Server) restartRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/system", console.ScopeRead, "How the server runs, and what its owner has to know", s.system),
		console.Action("POST", "/system/restart", console.ScopeAdmin, "Start the server again: as it is, in debug mode, with the last good revision, in failsafe mode, or without some packages", s.askRestart),
	}
}

// askRestart ends the server when its answer is on the way. Visitors' requests
// are finished; new connections wait for the next start.
func (s *Server) askRestart(ctx context.Context, in api.RestartRequest) (api.Restarting, error) {
	mode := protocol.Mode(in.Mode)
	code, known := restartCodes[mode]
	switch {
	case !known:
		return api.Restarting{}, badRestart("%q is no mode to start in; the modes are normal, debug, last-good and failsafe", in.Mode)
	case !s.wrapper.Wrapped():
		return api.Restarting{}, &console.Error{Status: http.StatusConflict, Code: "no_wrapper", Message: "nothing would start this server again: it runs without a wrapper", Hint: "berth serve runs one with a wrapper"}
	case (mode == protocol.LastGood || in.WithoutNew) && s.start.LastGood == "":
		return api.Restarting{}, &console.Error{Status: http.StatusConflict, Code: "no_last_good", Message: "no revision was good yet when this server started", Hint: "a revision is good when it was served for a minute"}
	case mode == protocol.Failsafe && (in.WithoutNew || len(in.Without) > 0):
		return api.Restarting{}, badRestart("failsafe mode runs no packages to leave out")
	}
	var options []string
	if in.WithoutNew {
		options = append(options, OptionWithoutNew)
	}
	for _, id := range in.Without {
		if err := s.checkWithout(ctx, id); err != nil {
			return api.Restarting{}, err
		}
		options = append(options, OptionWithout+"="+id)
	}
	select {
	case s.restart <- &Restart{code, options}:
	default: // somebody else asked already
	}
	if mode == "" {
		mode = protocol.Normal
	}
	return api.Restarting{Mode: string(mode)}, nil
}

func badRestart(format string, args ...any) *console.Error {
	return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf(format, args...)}
}

// checkWithout refuses what would leave out nothing.
func (s *Server) checkWithout(ctx context.Context, text string) error {
	id, err := name.ParseID(text)
	if err != nil {
		return err
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return err
	}
	for p, err := range s.parts(ctx, head) {
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p.unit.Lock.Nodes, func(node resolve.Node) bool { return node.ID == id }) {
			return nil
		}
	}
	return badRestart("nothing that is mounted uses %s", id)
}

func (s *Server) system(ctx context.Context, _ console.Nothing) (api.System, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.System{}, err
	}
	disabled, err := s.disabledMounts(ctx)
	if err != nil {
		return api.System{}, err
	}
	serving := head.Number
	s.changing.Lock()
	if s.pinned != nil {
		serving = s.pinned.Number
	}
	s.changing.Unlock()
	mode := s.start.Mode
	if mode == "" {
		mode = protocol.Normal
	}
	return api.System{
		Mode: string(mode), Reason: s.start.Reason, State: string(s.proof.now()), Wrapped: s.wrapper.Wrapped(),
		Debug: s.debugging(), OneByOne: s.oneByOne.Load(), Serving: serving, Head: head.Number, LastGood: s.start.LastGood,
		Started: s.began, Disabled: disabled, Notices: s.notices.list(),
	}, nil
}

// errPinned refuses changes to a site of which an earlier revision is served:
// they would mix two states.
func errPinned(rev *revision.Revision) error {
	return &console.Error{Status: http.StatusConflict, Code: "last_good",
		Message: fmt.Sprintf("the site is served as it was in revision %d, the last good one, which is not the newest: nothing can be changed meanwhile", rev.Number),
		Hint:    fmt.Sprintf("to stay at revision %d: berth rollback --site --to %[1]d; to serve the newest again: berth restart", rev.Number)}
}

// settle makes the revision that is served the newest one. Nothing is staged:
// it runs already.
func (s *Server) settle(ctx context.Context, why string) (*revision.Revision, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	if s.pinned == nil {
		return nil, errors.New("the newest revision is served")
	}
	base, err := s.chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	pinned := s.pinned
	settlement := s.newSettlement()
	defer settlement.end(ctx)
	rev, err := s.chain.Commit(ctx, base, revision.Edit{Who: console.Caller(ctx), Why: why, Apply: func(d *revision.Draft) error {
		// It runs already, on the snapshots of its data versions: they are to stay.
		d.RollbackSite(pinned)
		touched, err := s.touchedSince(ctx, base, pinned)
		if err == nil {
			_, err = s.draftChange(ctx, d, touched, settlement)
		}
		if err == nil {
			err = settlement.run(ctx)
		}
		if err != nil {
			return err
		}
		return settlement.write(ctx, d)
	}})
	if err != nil {
		return nil, err
	}
	s.pinned = nil
	s.notices.clear("last-good")
	s.servesAnother(rev)
	return rev, nil
}

// isPinned reports whether another revision than the newest is served.
func (s *Server) isPinned() bool {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.pinned != nil
}

// pinnedAs reports whether a revision is the one that is served instead of the
// newest.
func (s *Server) pinnedAs(number uint64) bool {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.pinned != nil && s.pinned.Number == number
}
