package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/store"
)

func (s *Server) systemRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/jobs", console.ScopeRead, "Long actions, newest first", s.listJobs),
		console.Action("GET", "/jobs/{id}", console.ScopeRead, "One job; with after, once it has changed", s.getJob),
		console.Action("DELETE", "/jobs/{id}", console.ScopeDeploy, "Cancel a job", s.cancelJob),
		console.Action("POST", "/jobs/{id}/again", console.ScopeDeploy, "Start a job again that has ended", s.retryJob),
		console.Action("GET", "/settings", console.ScopeRead, "Where packages may come from, beside the public web", s.getSettings),
		console.Action("PATCH", "/settings", console.ScopeAdmin, "Where packages may come from", s.changeSettings),
		console.Action("GET", "/tokens", console.ScopeAdmin, "API tokens", s.listTokens),
		console.Action("POST", "/tokens", console.ScopeAdmin, "Make an API token; its text is shown once", s.newToken).Confirmed(),
		console.Action("DELETE", "/tokens/{id}", console.ScopeAdmin, "Revoke an API token", s.revokeToken),
	}
}

func (s *Server) listJobs(context.Context, console.Nothing) ([]console.Job, error) {
	return s.jobs.List(), nil
}

// untilStop returns a context for requests that wait: it ends with ctx, or
// when the server stops, which must not wait for who follows a log.
func (s *Server) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(s.stopping, cancel)
	return ctx, func() { unlink(); cancel() }
}

// longPoll is how long a request for a job's next change waits.
const longPoll = 20 * time.Second

func (s *Server) getJob(ctx context.Context, in api.JobRequest) (console.Job, error) {
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	ctx, cancelPoll := context.WithTimeout(ctx, longPoll)
	defer cancelPoll()
	return s.jobs.Wait(ctx, in.ID, in.After)
}

func (s *Server) cancelJob(ctx context.Context, in api.JobRequest) (console.Job, error) {
	return s.jobs.Cancel(ctx, in.ID)
}

func (s *Server) changeSettings(ctx context.Context, in api.SettingsChange) (api.Settings, error) {
	settings, err := s.registry.ChangeSettings(ctx, func(set *registry.Settings) {
		mirrors := maps.Clone(set.Mirrors)
		if mirrors == nil {
			mirrors = map[string]string{}
		}
		for prefix, base := range in.Mirrors {
			mirrors[prefix] = base
			if base == "" {
				delete(mirrors, prefix)
			}
		}
		set.Mirrors = mirrors
		origins := append(append([]string{}, set.Origins...), in.Allow...)
		slices.Sort(origins)
		origins = slices.Compact(origins)
		set.Origins = slices.DeleteFunc(origins, func(o string) bool { return slices.Contains(in.Forbid, o) })
	})
	return describeSettings(settings), err
}

func (s *Server) getSettings(context.Context, console.Nothing) (api.Settings, error) {
	return describeSettings(s.registry.Settings()), nil
}

func describeSettings(settings registry.Settings) api.Settings {
	return api.Settings{Mirrors: settings.Mirrors, Origins: append([]string{}, settings.Origins...)}
}

// tokenPrefix begins the names of references that hold API tokens.
const tokenPrefix = "token/"

// tokens finds API tokens in the store, beside the one that the server made
// for programs of its own user.
type tokens struct {
	refs  store.Refs
	local console.Token
}

func (t *tokens) Token(ctx context.Context, id string) (*console.Token, error) {
	if id == t.local.ID {
		return &t.local, nil
	}
	ref, err := t.refs.Ref(ctx, tokenPrefix+id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	token := &console.Token{}
	return token, json.Unmarshal(ref.Value, token)
}

func (s *Server) listTokens(ctx context.Context, _ console.Nothing) ([]api.Token, error) {
	refs, err := s.store.ListRefs(ctx, tokenPrefix, "", 0)
	if err != nil {
		return nil, err
	}
	list := []api.Token{}
	for _, ref := range refs {
		var token console.Token
		if err := json.Unmarshal(ref.Value, &token); err != nil {
			return nil, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
		}
		list = append(list, describeToken(token, ""))
	}
	return list, nil
}

func describeToken(t console.Token, text string) api.Token {
	return api.Token{ID: t.ID, Name: t.Name, Scope: string(t.Scope), Created: t.Created, Expires: t.Expires, Text: text}
}

func (s *Server) newToken(ctx context.Context, in api.TokenRequest) (api.Token, error) {
	scope := console.Scope(in.Scope)
	if !scope.Valid() || in.Name == "" || len(in.Name) > 100 || in.Days < 0 {
		return api.Token{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request",
			Message: "a token needs a name of at most 100 bytes, a scope (read, deploy or admin) and no less than 0 days"}
	}
	token, text := console.NewToken(in.Name, scope, time.Now(), time.Duration(in.Days)*24*time.Hour)
	b, err := json.Marshal(token)
	if err != nil {
		return api.Token{}, err
	}
	_, err = s.store.SwapRefs(ctx, store.RefChange{Name: tokenPrefix + token.ID, Value: b})
	return describeToken(token, text), err
}

func (s *Server) revokeToken(ctx context.Context, in api.JobRequest) (console.Nothing, error) {
	ref, err := s.store.Ref(ctx, tokenPrefix+in.ID)
	if errors.Is(err, store.ErrNotFound) {
		return console.Nothing{}, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no token %q", in.ID), Hint: "berth tokens lists them"}
	}
	if err != nil {
		return console.Nothing{}, err
	}
	_, err = s.store.SwapRefs(ctx, store.RefChange{Name: ref.Name, Want: ref.Revision})
	return console.Nothing{}, err
}
