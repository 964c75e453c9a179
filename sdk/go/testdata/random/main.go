//go:build wasip1

// Command random answers with random numbers of math/rand and of the SDK, and with
// how often it was warmed up.
package main

import (
	"fmt"
	"math/rand/v2"

	berth "github.com/berth-host/berth/sdk/go"
)

var warmed int

func init() {
	berth.WarmUp(func() { warmed++ })
	berth.Handle(func(w *berth.Response, r *berth.Request) {
		fmt.Fprintf(w, "%d %d %d", rand.Uint64(), berth.Rand().Uint64(), warmed)
	})
}

func main() {}
