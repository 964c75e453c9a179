package storetest

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/berth-host/berth/registry/store"
)

// Bench measures the calls that matter, with 1 KiB values, alone and from
// many goroutines at once, and blobs of 1 MiB.
func Bench(b *testing.B, s store.Store) {
	value, d := noise(1<<10), s.Data()
	var number atomic.Uint64
	calls := []struct {
		name string
		call func(n uint64) error
	}{
		{"SwapRefs", func(n uint64) error {
			_, err := s.SwapRefs(b.Context(), store.RefChange{Name: fmt.Sprintf("bench/%d", n), Value: value})
			return err
		}},
		{"Put", func(n uint64) error {
			_, err := d.Put(b.Context(), "bench", fmt.Sprint(n%1000), value, store.AnyRevision)
			return err
		}},
		{"Get", func(n uint64) error {
			_, err := d.Get(b.Context(), "bench", "1")
			return err
		}},
		{"Ref", func(n uint64) error {
			_, err := s.Ref(b.Context(), "bench/1")
			return err
		}},
	}
	for _, c := range calls {
		for _, callers := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/%d", c.name, callers), func(b *testing.B) {
				run(b, callers, func() error { return c.call(number.Add(1)) })
			})
		}
	}
	benchBlobs(b, s)
}

// run makes b.N calls from several goroutines.
func run(b *testing.B, callers int, call func() error) {
	b.ReportAllocs()
	errs := make(chan error, callers)
	var left atomic.Int64
	left.Store(int64(b.N))
	for range callers {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = call()
			}
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func benchBlobs(b *testing.B, s store.Store) {
	content := noise(1 << 20)
	var h store.Hash
	b.Run("PutBlob", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for i := 0; b.Loop(); i++ {
			copy(content, fmt.Sprint(b.N, i)) // another blob each time
			var err error
			if h, _, err = s.PutBlob(b.Context(), bytes.NewReader(content)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("PutBlobAgain", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if _, _, err := s.PutBlob(b.Context(), bytes.NewReader(content)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Blob", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			if _, err := s.Blob(b.Context(), h); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("OpenBlob", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			r, err := s.OpenBlob(b.Context(), h)
			if err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}
