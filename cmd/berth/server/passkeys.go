package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/passkeys"
	"github.com/berth-host/berth/registry/store"
)

func (s *Server) passkeyRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/passkeys", console.ScopeAdmin, "Passkeys of the owner", s.listPasskeys),
		console.Action("DELETE", "/passkeys/{id}", console.ScopeAdmin, "Forget a passkey", s.removePasskey).Confirmed(),
		console.Upload("POST", "/passkeys/begin", console.ScopeAdmin, "Begin to make a passkey", s.beginPasskey).Confirmed().Unaudited(),
		console.Upload("POST", "/passkeys", console.ScopeAdmin, "Keep the passkey that the browser made", s.makePasskey).Confirmed(),
		console.Upload("POST", "/login/passkey/begin", console.ScopeAnybody, "Begin to log in by a passkey", s.beginPasskeyLogin).Unaudited(),
		console.Upload("POST", "/login/passkey", console.ScopeAnybody, "Log in by the passkey that the browser shows", s.loginByPasskey).Unaudited(),
	}
}

// passkeyPrefix begins the names of references that hold passkeys.
const passkeyPrefix = "passkey/"

// keptPasskeys keeps passkeys in the store.
type keptPasskeys struct{ refs store.Refs }

func (k keptPasskeys) Passkeys(ctx context.Context) ([]passkeys.Passkey, error) {
	refs, err := k.refs.ListRefs(ctx, passkeyPrefix, "", 0)
	if err != nil {
		return nil, err
	}
	var list []passkeys.Passkey
	for _, ref := range refs {
		var p passkeys.Passkey
		if err := json.Unmarshal(ref.Value, &p); err != nil {
			return nil, fmt.Errorf("reference %s: %w: %w", ref.Name, store.ErrCorrupt, err)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b passkeys.Passkey) int { return a.Created.Compare(b.Created) })
	return list, nil
}

func (k keptPasskeys) PutPasskey(ctx context.Context, p passkeys.Passkey) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	name := passkeyPrefix + p.ID
	ref, err := k.refs.Ref(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if p.Used.After(p.Created) && ref.Revision == 0 {
		return passkeys.ErrRefused // it was forgotten meanwhile
	}
	_, err = k.refs.SwapRefs(ctx, store.RefChange{Name: name, Want: ref.Revision, Value: b})
	return err
}

// openPasskeys gets ready what lets owners in by passkeys.
func (s *Server) openPasskeys() error {
	handle, err := loadOrMake(filepath.Join(s.startup.Data, "owner.id"), 32)
	s.passkeys = passkeys.New(keptPasskeys{s.store}, handle)
	return err
}

func describePasskey(p passkeys.Passkey) api.Passkey {
	return api.Passkey{ID: p.ID, Name: p.Name, Host: p.Host, Created: p.Created, Used: p.Used}
}

func (s *Server) listPasskeys(ctx context.Context, _ console.Nothing) ([]api.Passkey, error) {
	all, err := keptPasskeys{s.store}.Passkeys(ctx)
	list := []api.Passkey{}
	for _, p := range all {
		list = append(list, describePasskey(p))
	}
	return list, err
}

func (s *Server) removePasskey(ctx context.Context, in api.PasskeyRef) (console.Nothing, error) {
	ref, err := s.store.Ref(ctx, passkeyPrefix+in.ID)
	if err != nil {
		return console.Nothing{}, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no passkey %q", in.ID)}
	}
	_, err = s.store.SwapRefs(ctx, store.RefChange{Name: ref.Name, Want: ref.Revision})
	return console.Nothing{}, err
}

// passkeyProblem is what a caller may read of a ceremony that failed.
func (s *Server) passkeyProblem(r *http.Request, err error) error {
	problem := &console.Error{Code: "bad_passkey", Status: http.StatusUnprocessableEntity, Hint: "the password works always"}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, passkeys.ErrNotHere):
		problem.Code, problem.Message = "not_here", passkeys.ErrNotHere.Error()
	case errors.Is(err, passkeys.ErrCeremony):
		problem.Message = passkeys.ErrCeremony.Error()
	case errors.Is(err, passkeys.ErrBusy):
		problem.Status, problem.Code, problem.Message = http.StatusServiceUnavailable, "busy", passkeys.ErrBusy.Error()
	case errors.Is(err, passkeys.ErrRefused):
		s.log.Warn("a passkey was refused", "from", r.RemoteAddr, "error", err)
		problem.Message = passkeys.ErrRefused.Error()
	default:
		return err
	}
	return problem
}

// maxCeremony is the size of the largest answer of a browser, in bytes.
const maxCeremony = 64 << 10

func readCeremony(w http.ResponseWriter, r *http.Request, in any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxCeremony))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "the body is not the JSON that this action reads"}
	}
	return nil
}

func (s *Server) ceremony(r *http.Request, id string, options any, err error) (api.Ceremony, error) {
	if err != nil {
		return api.Ceremony{}, s.passkeyProblem(r, err)
	}
	b, err := json.Marshal(options)
	return api.Ceremony{ID: id, Options: b}, err
}

func (s *Server) beginPasskey(w http.ResponseWriter, r *http.Request, _ console.Nothing) (api.Ceremony, error) {
	var in api.PasskeyRequest
	if err := readCeremony(w, r, &in); err != nil {
		return api.Ceremony{}, err
	}
	if in.Name == "" || len(in.Name) > 100 {
		return api.Ceremony{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "a passkey needs a name of at most 100 bytes"}
	}
	id, options, err := s.passkeys.BeginMaking(r, in.Name)
	return s.ceremony(r, id, options, err)
}

func (s *Server) makePasskey(w http.ResponseWriter, r *http.Request, _ console.Nothing) (api.Passkey, error) {
	var in api.CeremonyAnswer
	if err := readCeremony(w, r, &in); err != nil {
		return api.Passkey{}, err
	}
	made, err := s.passkeys.Make(r, in.ID, in.Credential)
	return describePasskey(made), s.passkeyProblem(r, err)
}

func (s *Server) beginPasskeyLogin(_ http.ResponseWriter, r *http.Request, _ console.Nothing) (api.Ceremony, error) {
	id, options, err := s.passkeys.BeginLogin(r)
	return s.ceremony(r, id, options, err)
}

func (s *Server) loginByPasskey(w http.ResponseWriter, r *http.Request, _ console.Nothing) (console.Nothing, error) {
	var in api.CeremonyAnswer
	if err := readCeremony(w, r, &in); err != nil {
		return console.Nothing{}, err
	}
	shown, err := s.passkeys.Login(r, in.ID, in.Credential)
	if err = s.passkeyProblem(r, err); err != nil {
		return console.Nothing{}, err
	}
	if _, err := s.sessions.Begin(w, r, "owner"); err != nil {
		return console.Nothing{}, err
	}
	s.console.NoteAccess(r.Context(), "owner", "Log in by the passkey "+shown.Name, nil)
	return console.Nothing{}, nil
}
