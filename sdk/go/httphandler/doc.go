// Package httphandler lets a guest written in Go answer with an [http.Handler]
// of the standard library, such as an [http.ServeMux]:
//
//	func init() {
//		mux := http.NewServeMux()
//		mux.HandleFunc("GET /hello/{name}", hello)
//		httphandler.Handle(mux)
//	}
//
//	func main() {}
//
// It is built as any guest of the SDK, see package berth. The price is size:
// package net/http makes a module of about 5 MB, where one that uses package
// berth alone has 2 MB, and both install time and memory grow with that.
//
// The path is the one that the visitor asked for, with that of the mount:
// [http.StripPrefix] with berth.Mount() takes it off. An answer is sent when
// the handler has returned, so that there is nothing to flush and no
// connection to hijack. A handler that panics is logged with its stack, and its
// visitor gets status 500.
package httphandler
