package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/berth-host/berth/failsafe/record"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

func (s *Server) crashRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/system/crashes", console.ScopeAdmin, "How the server ended when nobody had asked for it, newest first", s.listCrashes),
		console.Action("GET", "/system/crashes/{id}", console.ScopeAdmin, "One of these, with what the server wrote last", s.getCrash),
	}
}

func (s *Server) listCrashes(context.Context, console.Nothing) ([]api.Crash, error) {
	crashes, err := record.In(s.startup.Data).Crashes()
	if err != nil {
		s.log.Warn("crash records can't be read", "error", err) // the others can
	}
	list := []api.Crash{}
	for _, c := range crashes {
		list = append(list, describeCrash(c))
	}
	return list, nil
}

func (s *Server) getCrash(_ context.Context, in api.CrashRequest) (api.Crash, error) {
	c, err := record.In(s.startup.Data).Crash(in.ID)
	if errors.Is(err, fs.ErrNotExist) {
		return api.Crash{}, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no crash record %d", in.ID), Hint: "berth crashes lists them"}
	}
	if err != nil {
		return api.Crash{}, err
	}
	full := describeCrash(c)
	full.Stderr, full.Output = c.Stderr, c.Output
	return full, nil
}

func describeCrash(c record.Crash) api.Crash {
	return api.Crash{ID: c.ID, Time: c.At.Wall, Lived: c.Lived.Seconds(), Kind: string(c.Kind), Message: c.Message, Mode: c.Mode, Phase: c.Phase, Revision: c.Revision, Module: c.Module}
}
