package berth

import (
	crand "crypto/rand"
	"math/rand/v2"
)

var (
	random  *rand.Rand // of the request that is answered; nil until it is wanted
	warmUps []func()
)

// Rand returns random numbers that nobody can foresee, seeded anew for each
// request. The functions of package math/rand are no source here: with
// isolation = "request" they give every request the same numbers, because each
// begins with a copy of the module's first state.
func Rand() *rand.Rand {
	if random == nil {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // never fails
		random = rand.New(rand.NewChaCha8(seed))
	}
	return random
}

// WarmUp has f run once, after all init functions and before the first request:
// what it leaves in memory, every request finds. Parse templates and fill
// tables there. There is no request yet, and nothing to respond to.
func WarmUp(f func()) { warmUps = append(warmUps, f) }

// warmUp also makes what each request would have to make otherwise.
//
//go:wasmexport berth_warm_up
func warmUp() {
	request.head = make([]byte, 4096)
	response.headers = make([]byte, 0, 512)
	response.body = make([]byte, 0, 4096)
	for _, f := range warmUps {
		f()
	}
	warmUps = nil
}
