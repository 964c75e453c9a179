package server

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	"github.com/berth-host/berth/failsafe/record"
)

// doorInterval is how often it is looked whether HTTPS changed: certificates
// come and are renewed by themselves.
const doorInterval = time.Minute

// keepDoor keeps for failsafe mode how this server is reached by HTTPS.
func (s *Server) keepDoor(ctx context.Context) {
	tick := time.NewTicker(doorInterval)
	defer tick.Stop()
	var kept []byte
	for {
		door, err := s.door()
		if err != nil {
			s.log.Warn("a certificate is not kept for failsafe mode", "error", err)
		}
		if now, err := json.Marshal(door); err == nil && !bytes.Equal(now, kept) {
			if err := record.In(s.startup.Data).SetDoor(door); err != nil {
				s.log.Warn("failsafe mode will not answer by HTTPS as it is now", "error", err)
			} else {
				kept = now
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// door is how this server is reached by HTTPS, without certificates when it
// is not. An error names one that is left out.
func (s *Server) door() (door record.Door, err error) {
	if door.Address, _ = s.https.state(); door.Address == "" {
		return door, nil
	}
	s.https.mu.Lock()
	door.Console = s.https.consoleHost
	s.https.mu.Unlock()
	for _, name := range s.https.names() {
		cert := s.https.certs.Certificate(name)
		if cert == nil {
			continue
		}
		key, keyErr := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if keyErr != nil {
			err = fmt.Errorf("%s: %w", name, keyErr)
			continue
		}
		door.Certificates = append(door.Certificates, record.Certificate{Name: name, Chain: cert.Certificate, Key: key})
	}
	return door, err
}
