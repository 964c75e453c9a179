package bolt

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/berth-host/berth/registry/store"
)

// TestCloseWaits ends calls while one runs: new ones are refused at once, one
// within the running call too, and the end waits for that.
func TestCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c calls
		c.init()
		if err := c.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		ended := false
		go func() {
			c.end()
			ended = true
		}()
		synctest.Wait()
		if ended {
			t.Error("the end does not wait for a running call")
		}
		if err := c.begin(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("a new call: %v", err)
		}
		c.done()
		synctest.Wait()
		if !ended {
			t.Error("the end waits for nothing")
		}
	})
}
