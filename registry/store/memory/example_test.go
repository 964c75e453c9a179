package memory_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/memory"
)

// Two who change the same reference cannot overwrite each other unnoticed.
func Example() {
	ctx, s := context.Background(), memory.New()
	defer s.Close()

	first, err := s.SwapRefs(ctx, store.RefChange{Name: "site/production", Value: []byte("revision 1")})
	fmt.Println(first, err)
	second, err := s.SwapRefs(ctx, store.RefChange{Name: "site/production", Want: first, Value: []byte("revision 2")})
	fmt.Println(second, err)
	_, err = s.SwapRefs(ctx, store.RefChange{Name: "site/production", Want: first, Value: []byte("another 2")})
	fmt.Println(errors.Is(err, store.ErrConflict), err)
	// Output:
	// 1 <nil>
	// 2 <nil>
	// true "site/production" changed in the meantime (expected revision 1, found 2)
}
