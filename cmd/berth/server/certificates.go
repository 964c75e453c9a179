package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/mail"
	"regexp"
	"syscall"

	"github.com/berth-host/berth/host/certs"
	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store"
)

func (s *Server) certificateRoutes() []console.Route {
	return []console.Route{
		console.Action("GET", "/certificates", console.ScopeRead, "HTTPS: its settings, and how it stands with each name", s.getCertificates),
		console.Action("PATCH", "/certificates", console.ScopeAdmin, "Change the settings of HTTPS", s.changeCertificates).Confirmed(),
		console.Action("POST", "/certificates/retry", console.ScopeAdmin, "Try again at once where a certificate could not be got", s.retryCertificates),
		console.Action("POST", "/certificates/own", console.ScopeAdmin, "Bring a certificate and its key", s.addOwnCertificate).Confirmed(),
		console.Action("DELETE", "/certificates/own/{id}", console.ScopeAdmin, "Forget a certificate that the owner brought", s.removeOwnCertificate),
	}
}

// refCertificates is the reference that holds [certificateSettings].
const refCertificates = "setting/certificates"

type certificateSettings struct {
	certs.Settings
	ConsoleHost string
}

func (s *Server) certificateSettings(ctx context.Context) (settings certificateSettings, err error) {
	_, err = s.readSetting(ctx, refCertificates, &settings)
	return settings, err
}

// readSetting reads a setting from the store; one that was never written stays
// as it is, at revision 0.
func (s *Server) readSetting(ctx context.Context, name string, v any) (uint64, error) {
	ref, err := s.store.Ref(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(ref.Value, v); err != nil {
		return 0, fmt.Errorf("reference %s: %w: %w", name, store.ErrCorrupt, err)
	}
	return ref.Revision, nil
}

// writeSetting writes a setting that was read at a revision.
func (s *Server) writeSetting(ctx context.Context, name string, revision uint64, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.store.SwapRefs(ctx, store.RefChange{Name: name, Want: revision, Value: b})
	return err
}

func (s *Server) getCertificates(ctx context.Context, _ console.Nothing) (api.Certificates, error) {
	settings, err := s.certificateSettings(ctx)
	if err != nil {
		return api.Certificates{}, err
	}
	answer := api.Certificates{
		Automatic: settings.Automatic, Authority: settings.CA, Email: settings.Email, Redirect: settings.Redirect,
		HSTSDays: settings.HSTSDays, Port: s.https.certs.Port(), ConsoleHost: settings.ConsoleHost,
		Names: []api.CertificateName{}, Own: []api.OwnCertificate{},
	}
	if answer.Authority == "" {
		answer.Authority = certs.LetsEncrypt
	}
	var problem error
	if answer.Address, problem = s.https.state(); problem != nil {
		answer.Problem = listenProblem(s.startup.HTTPS, problem)
	}
	uses := s.https.uses()
	for _, state := range s.https.certs.States() {
		described := api.CertificateName{Name: state.Name, Use: uses[state.Name], Valid: state.Valid(), Source: state.Source,
			Issuer: state.Issuer, Expires: state.Expires, Trying: state.Trying, Tried: state.At}
		if state.Err != nil {
			described.Problem = state.Err.Error()
			described.Hint = "the name must lead to this server, and port 80 or 443 of it must be reachable from everywhere"
		}
		answer.Names = append(answer.Names, described)
	}
	for _, own := range s.https.certs.Own() {
		answer.Own = append(answer.Own, describeOwn(own))
	}
	return answer, nil
}

func (h *https) uses() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return map[string]string{h.consoleHost: "console", betaHost(h.site): "beta", h.site.Host: "site"}
}

func listenProblem(address string, err error) string {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("%s cannot be listened on: this program may not use ports below 1024. Set another one as https in startup.toml, and let port 443 lead to it", address)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("%s cannot be listened on: another program does", address)
	}
	return fmt.Sprintf("%s cannot be listened on: %v", address, err)
}

func describeOwn(o certs.Own) api.OwnCertificate {
	return api.OwnCertificate{ID: o.ID, Names: append([]string{}, o.Names...), Issuer: o.Issuer, Expires: o.Expires}
}

func (s *Server) changeCertificates(ctx context.Context, in api.CertificatesChange) (api.Certificates, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	var settings certificateSettings
	revision, err := s.readSetting(ctx, refCertificates, &settings)
	if err != nil {
		return api.Certificates{}, err
	}
	set(&settings.Automatic, in.Automatic)
	set(&settings.CA, in.Authority)
	set(&settings.Email, in.Email)
	set(&settings.Redirect, in.Redirect)
	set(&settings.HSTSDays, in.HSTSDays)
	set(&settings.Port, in.Port)
	set(&settings.ConsoleHost, in.ConsoleHost)
	if settings.CA == certs.LetsEncrypt {
		settings.CA = ""
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Certificates{}, err
	}
	if err := settings.check(head.Settings.Host, betaHost(head.Settings)); err != nil {
		return api.Certificates{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: err.Error()}
	}
	if err := s.writeSetting(ctx, refCertificates, revision, settings); err != nil {
		return api.Certificates{}, err
	}
	s.certify(head.Settings)
	return s.getCertificates(ctx, console.Nothing{})
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *certificateSettings) check(site, beta string) error {
	if err := certs.CheckCA(c.CA); err != nil {
		return err
	}
	if c.Email != "" {
		if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email {
			return fmt.Errorf("%q is not an e-mail address", c.Email)
		}
	}
	switch {
	case c.HSTSDays < 0 || c.HSTSDays > 730:
		return errors.New("browsers are told to come by HTTPS only for 0 to 730 days")
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("%d is not a port", c.Port)
	case c.ConsoleHost != "" && (!hostName.MatchString(c.ConsoleHost) || len(c.ConsoleHost) > 253):
		return fmt.Errorf("%q is not a host name in lower case, such as console.site.example", c.ConsoleHost)
	case c.ConsoleHost != "" && (c.ConsoleHost == site || c.ConsoleHost == beta):
		return fmt.Errorf("%s is a name of the site: the console needs one of its own, so that no module shares it", c.ConsoleHost)
	}
	return nil
}

func (s *Server) retryCertificates(ctx context.Context, _ console.Nothing) (api.Certificates, error) {
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.Certificates{}, err
	}
	s.certify(head.Settings) // listens, if that failed
	s.https.certs.Retry()
	return s.getCertificates(ctx, console.Nothing{})
}

func (s *Server) addOwnCertificate(ctx context.Context, in api.OwnCertificateRequest) (api.OwnCertificate, error) {
	own, err := s.https.certs.SetOwn([]byte(in.Certificate), []byte(in.Key))
	if err != nil {
		return api.OwnCertificate{}, &console.Error{Status: http.StatusUnprocessableEntity, Code: "bad_certificate", Message: err.Error(), Hint: "both are PEM files: the certificate with its chain, and its private key"}
	}
	head, err := s.chain.Head(ctx)
	if err != nil {
		return api.OwnCertificate{}, err
	}
	s.certify(head.Settings)
	return describeOwn(own), nil
}

func (s *Server) removeOwnCertificate(_ context.Context, in api.OwnCertificateRef) (console.Nothing, error) {
	err := s.https.certs.RemoveOwn(in.ID)
	if errors.Is(err, fs.ErrNotExist) {
		err = &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no certificate %q", in.ID), Hint: "berth certificates lists them"}
	}
	return console.Nothing{}, err
}
