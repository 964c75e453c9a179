// Package berth is the SDK for handlers and filters written in Go. Build with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags="-s -w" -o handler.wasm .
//
// A handler registers itself in an init function; main stays empty:
//
//	func init() { berth.Handle(hello) }
//
//	func hello(w *berth.Response, r *berth.Request) {
//		w.SetHeader("Content-Type", "text/plain")
//		w.WriteString("hello " + r.Path())
//	}
//
//	func main() {}
//
// What a [Request] returns is a view of memory that the next request
// overwrites: keep copies (strings.Clone) of what must last longer.
package berth
