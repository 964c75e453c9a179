package memory

import (
	"io"
	"testing"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/storetest"
)

func TestStore(t *testing.T) {
	filled := store.Sum(storetest.FilledBlob)
	storetest.Run(t, storetest.Backend{
		Open:    func(*testing.T) store.Store { return New() },
		Restore: func(t *testing.T, r io.Reader) (store.Store, error) { return Restore(t.Context(), r) },
		Damage: map[string]func(*testing.T, store.Store) store.Store{
			"blob " + filled.String(): func(_ *testing.T, s store.Store) store.Store {
				s.(*Store).blobs[filled][100] ^= 1
				return s
			},
		},
	})
}

func BenchmarkStore(b *testing.B) {
	s := New()
	defer s.Close()
	storetest.Bench(b, s)
}
