package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/berth-host/berth/failsafe/record"
)

// openDoor listens for HTTPS where the server did, with the certificates that
// it kept. It answers the console under its own name, and every other name
// with the page of the site. Without such a record there is no door; that one
// can't be opened is told in the log, and the console's own socket goes on.
func (s *Server) openDoor() (_ net.Listener, _ http.Handler) {
	inherited := s.config.HTTPS
	defer func() {
		if inherited != nil { // nobody would answer there
			inherited.Close()
			s.config.DropHTTPS()
		}
	}()
	door, err := record.In(s.config.Data).Door()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var config *tls.Config
	if err == nil {
		config, err = tlsConfig(door)
	}
	l := inherited
	if err == nil && l == nil {
		l, err = net.Listen("tcp", door.Address)
	}
	if err != nil {
		s.config.Log.Warn("failsafe mode does not answer by HTTPS", "error", err)
		return nil, nil
	}
	inherited = nil
	name := strings.ToLower(door.Console)
	s.doorName = name
	return tls.NewListener(l, config), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name != "" && hostOf(r) == name && strings.EqualFold(r.TLS.ServerName, name) {
			s.console.ServeHTTP(w, r)
			return
		}
		maintenance(w, r)
	})
}

func tlsConfig(door record.Door) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	byName := map[string]*tls.Certificate{}
	for _, c := range door.Certificates {
		key, err := x509.ParsePKCS8PrivateKey(c.Key)
		if err != nil {
			return nil, fmt.Errorf("the key for %s: %w", record.Cut(c.Name, 300), err)
		}
		byName[strings.ToLower(c.Name)] = &tls.Certificate{Certificate: c.Chain, PrivateKey: key}
	}
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if c := byName[strings.ToLower(hello.ServerName)]; c != nil {
			return c, nil
		}
		return nil, errors.New("there is no certificate for this name")
	}
	return config, nil
}
