// Package httpwasm is the http-wasm HTTP handler ABI
// (https://http-wasm.io/http-handler-abi/), whole, over the types of net/http:
// the native dialect for handlers and filters alike. Beside it stand two
// functions that pass a whole request head and a whole answer in one call each
// (module berth_http): they cost a fraction of the calls that they replace.
//
// It runs nothing itself: [Serve] drives a guest through one [Exchange].
package httpwasm

import (
	"fmt"
	"net/http"

	"github.com/berth-host/berth/abi"
)

// Module is the import module of the ABI's functions.
const Module = "http_handler"

// ModuleExtra is the import module of the two functions that are berth's own.
const ModuleExtra = "berth_http"

// Features are abilities that a guest switches on.
type Features uint32

// The features.
const (
	FeatureBufferRequest  Features = 1 << iota // the request body can be read and still reaches the next handler
	FeatureBufferResponse                      // the next handler's answer is held back and can be changed
	FeatureTrailers                            // trailers are looked at

	allFeatures = FeatureBufferRequest | FeatureBufferResponse | FeatureTrailers
)

// A Level is how important a log message is.
type Level int32

// The levels; LevelNone is never logged.
const (
	LevelDebug Level = -1 + iota
	LevelInfo
	LevelWarn
	LevelError
	LevelNone
)

// Limits of what a guest may do to a message.
const (
	MaxBuffer  = 32 << 20 // bytes of a body that is held back
	MaxHeaders = 256      // fields that a guest sets in one exchange
	MaxField   = 64 << 10 // bytes of a field's name and value
	MaxLog     = 16 << 10 // bytes of a log message; what is longer is cut
)

// A Logger takes what guests log.
type Logger interface{ Log(Level, string) }

// An Exchange is one request on its way through one guest.
type Exchange struct {
	Request  *http.Request
	Response http.ResponseWriter
	// Next answers what the guest passes on. It writes an answer in any case,
	// and returns an error when that is not the one that was meant.
	Next   func(http.ResponseWriter, *http.Request) error
	Config []byte // what get_config reads
	Log    Logger
	Fields *FieldCache // of the guest's module

	features  Features
	serving   bool // the guest is past its own start
	status    int  // what the guest set; 0: nothing
	started   bool // the head of the answer is on its way
	afterNext bool
	fields    int       // set by the guest so far
	held      *heldBody // the next handler's answer
	rewritten bool      // the guest has begun to overwrite the held body
	newBody   bool      // the guest has begun to overwrite the request's body
	stack     [2]uint64
}

// Started reports whether the head of the answer is on its way, so that it is
// too late for another one.
func (x *Exchange) Started() bool { return x.started }

// State is what a guest's state must be for this dialect's functions.
type State interface{ HTTP() *Exchange }

// Indices of [Dialect]'s entries.
const (
	entryRequest = iota
	entryResponse
	entryMigrate
)

// Dialect is the ABI. A guest that only answers, and never passes on, needs no
// handle_response, and one whose data keeps its shape no migration.
var Dialect = &abi.Dialect{
	Name:  "http-wasm",
	Funcs: funcs,
	Entries: []abi.Entry{
		entryRequest:  {Name: "handle_request", Results: []abi.ValueType{abi.I64}},
		entryResponse: {Name: "handle_response", Params: []abi.ValueType{abi.I32, abi.I32}, Optional: true},
		entryMigrate:  {Name: MigrateExport, Params: []abi.ValueType{abi.I32, abi.I32}, Results: []abi.ValueType{abi.I32}, Optional: true},
	},
}

// MigrateExport is the export that migrates stored data. It is not part of
// http-wasm: abi/berth specifies it.
const MigrateExport = "berth_migrate"

// Migrate lets a guest bring its data from one version to another.
func Migrate(g abi.Guest, from, to int) error {
	if !g.Has(entryMigrate) {
		return fmt.Errorf("the module does not export %s", MigrateExport)
	}
	stack := [2]uint64{uint64(uint32(from)), uint64(uint32(to))}
	if err := g.Invoke(entryMigrate, stack[:]); err != nil {
		return err
	}
	if code := int32(stack[0]); code != 0 {
		return fmt.Errorf("the guest says that it failed, with code %d", code)
	}
	return nil
}

// Serve drives a guest through an exchange: handle_request, then the next
// handler if the guest passes on, then handle_response.
//
// handle_request returns ctx<<32 | next: 16<<32|1 (68719476737) passes on and
// gets 16 back in handle_response; 0 means that the guest has answered.
func Serve(g abi.Guest, x *Exchange) error {
	x.features, x.serving = Features(*g.Flags()), true
	if err := g.Invoke(entryRequest, x.stack[:]); err != nil {
		return err
	}
	passOn, reqCtx := uint32(x.stack[0]) == 1, x.stack[0]>>32
	if passOn {
		return x.passOn(g, reqCtx)
	}
	if x.held != nil {
		x.release()
		return nil
	}
	x.start()
	return nil
}

func (x *Exchange) passOn(g abi.Guest, reqCtx uint64) error {
	original := x.Response
	recorder := &recorder{ResponseWriter: original}
	x.Response = recorder
	if x.features&FeatureBufferResponse != 0 {
		if x.held == nil {
			x.held = &heldBody{header: original.Header()}
		}
		x.rewritten = false // what the guest wrote so far is the beginning of the answer
		x.Response = x.held
	}
	nextErr := x.Next(x.Response, x.Request)
	x.afterNext = true
	if x.held != nil {
		x.status = x.held.status
		if x.held.tooLarge {
			return errTooLarge
		}
	} else {
		x.status, x.started = recorder.status, true
	}
	x.Response = original
	if g.Has(entryResponse) {
		x.stack[0], x.stack[1] = reqCtx, 0
		if nextErr != nil {
			x.stack[1] = 1
		}
		if err := g.Invoke(entryResponse, x.stack[:]); err != nil {
			return err
		}
	}
	if x.held != nil {
		x.release()
	}
	return nil
}

// start sends the head of the answer if that has not been done.
func (x *Exchange) start() {
	if x.started {
		return
	}
	x.started = true
	if x.status != 0 {
		x.Response.WriteHeader(x.status)
	}
}

// release sends the answer that was held back.
func (x *Exchange) release() {
	if x.rewritten {
		// The length that the next handler stated is that of another body.
		x.Response.Header().Del("Content-Length")
	}
	x.start()
	_, _ = x.Response.Write(x.held.body) // the visitor may be gone
}
