//go:build wasip1

// Command hello answers with the path that was asked.
package main

import berth "github.com/berth-host/berth/sdk/go"

func init() {
	berth.Handle(func(w *berth.Response, r *berth.Request) {
		w.SetHeader("Content-Type", "text/plain")
		w.WriteString("hello ")
		w.WriteString(r.URI())
	})
}

func main() {}
