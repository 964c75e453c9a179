package server

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestKeyBeforeStore asks that at no moment of its birth a server has a store
// without the key that opens its secrets: whoever kills it then could never
// start it again.
func TestKeyBeforeStore(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(data, name))
		return err == nil
	}
	opened, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for {
			if there("registry.db") && !there(secretKey) {
				t.Error("there is a store without its key")
				return
			}
			select {
			case <-opened:
				return
			case <-time.After(20 * time.Microsecond):
			}
		}
	}()
	s, err := Open(t.Context(), Startup{Data: data, Site: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Console: "127.0.0.1:0"}, testOptions(io.Discard))
	close(opened)
	<-watched
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
