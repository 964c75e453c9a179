// Package berth holds the host functions that every guest has beside its
// dialect (import module "berth"): configuration, key-value data, calls to
// locked dependencies, outgoing HTTP, files of its package, log and random
// bytes. README.md beside this file is their specification.
package berth

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"github.com/berth-host/berth/abi"
)

// Module is the import module of the functions.
const Module = "berth"

// MigrateCommand is the first argument of a command that is to migrate data;
// the versions from and to follow it.
const MigrateCommand = "migrate"

// Codes that functions return instead of a length, handle or revision.
const (
	CodeNotFound  = -1 // there is no such key, file, dependency or handle
	CodeConflict  = -2 // the key is not at the wanted revision
	CodeDenied    = -3 // the owner did not grant it
	CodeTooLarge  = -4 // a limit, or the buffer, is too small
	CodeInvalid   = -5 // the arguments make no sense
	CodeFailed    = -6 // it did not work this time: the other side or the store failed
	CodeTooDeep   = -7 // calls are nested too deep
	CodeExhausted = -8 // too many open responses
)

// Limits of what one guest call may hold or pass.
const (
	MaxOpen    = 32       // responses that are open at once
	MaxMessage = 16 << 20 // bytes of a request to a dependency or elsewhere, body included
	MaxText    = 8 << 10  // bytes of a key, name or path
	MaxLog     = 16 << 10 // bytes of a log message; what is longer is cut
)

// Errors by which a [Host] says what happened. An absent key or file is
// [fs.ErrNotExist].
var (
	ErrConflict = errors.New("not at the wanted revision")
	ErrDenied   = errors.New("not granted")
	ErrTooDeep  = errors.New("calls are nested too deep")
	ErrTooLarge = errors.New("too large")
)

// A Level is how important a log message is, as in http-wasm.
type Level int32

// The levels.
const (
	LevelDebug Level = -1 + iota
	LevelInfo
	LevelWarn
	LevelError
)

// Host is what the functions reach. One value serves one unit of a deployment
// and may be used by many calls at once.
type Host interface {
	Config() []byte    // JSON object
	Mount() string     // path at which the deployment stands, such as "/news"
	Files() fs.FS      // of the unit's package
	Data() Data        // nil: not granted
	Log(Level, string) // to the deployment's log
	// Call asks the dependency that the unit's code calls by name. The
	// request is the caller's again, with its body, once Call has returned; the
	// response's body is read and closed by the caller, who leaves the
	// response alone from then on.
	Call(ctx context.Context, name string, r *http.Request) (*http.Response, error)
	// Fetch sends a request out. ErrDenied says that its host was not granted.
	Fetch(ctx context.Context, r *http.Request) (*http.Response, error)
}

// An Entry is one key of a unit's data.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
}

// AnyRevision as wanted revision writes whatever revision a key is at.
const AnyRevision = ^uint64(0)

// Data is the key-value data of a unit: see the errors of this package.
type Data interface {
	Get(ctx context.Context, key string) (Entry, error)
	Put(ctx context.Context, key string, value []byte, want uint64) (uint64, error)
	Delete(ctx context.Context, key string, want uint64) error
	List(ctx context.Context, prefix, after string, limit int) ([]Entry, error)
}

// A Session is the state of one guest call: its host and its open responses.
type Session struct {
	Host
	open []*http.Response // by handle - 1; nil: closed
}

// State is what a guest's state must be for these functions.
type State interface{ Berth() *Session }

// Close closes what the guest has left open. Whoever made the session calls it
// when the guest's call has ended.
func (s *Session) Close() {
	for _, resp := range s.open {
		if resp != nil {
			_ = resp.Body.Close() // only read from
		}
	}
	s.open = nil
}

const i32, i64 = abi.I32, abi.I64

func types(t ...abi.ValueType) []abi.ValueType { return t }

// Dialect adds the functions to any module; it has no entry points of its own.
var Dialect = &abi.Dialect{Name: "berth", Funcs: []abi.Func{
	{Module: Module, Name: "config", Params: types(i32, i32), Results: types(i32), Call: with(config)},
	{Module: Module, Name: "mount", Params: types(i32, i32), Results: types(i32), Call: with(mount)},
	{Module: Module, Name: "log", Params: types(i32, i32, i32), Call: with(log)},
	{Module: Module, Name: "random", Params: types(i32, i32), Call: with(random)},
	{Module: Module, Name: "data_get", Params: types(i32, i32, i32, i32, i32), Results: types(i64), Blocking: true, Call: with(dataGet)},
	{Module: Module, Name: "data_put", Params: types(i32, i32, i32, i32, i64), Results: types(i64), Blocking: true, Call: with(dataPut)},
	{Module: Module, Name: "data_delete", Params: types(i32, i32, i64), Results: types(i64), Blocking: true, Call: with(dataDelete)},
	{Module: Module, Name: "data_list", Params: types(i32, i32, i32, i32, i32, i32), Results: types(i64), Blocking: true, Call: with(dataList)},
	{Module: Module, Name: "file_size", Params: types(i32, i32), Results: types(i64), Blocking: true, Call: with(fileSize)},
	{Module: Module, Name: "file_read", Params: types(i32, i32, i64, i32, i32), Results: types(i64), Blocking: true, Call: with(fileRead)},
	{Module: Module, Name: "call", Params: types(i32, i32, i32, i32), Results: types(i32), Blocking: true, Call: with(callDependency)},
	{Module: Module, Name: "fetch", Params: types(i32, i32), Results: types(i32), Blocking: true, Call: with(fetch)},
	{Module: Module, Name: "response_status", Params: types(i32), Results: types(i32), Call: with(responseStatus)},
	{Module: Module, Name: "response_head", Params: types(i32, i32, i32), Results: types(i32), Call: with(responseHead)},
	{Module: Module, Name: "response_body", Params: types(i32, i32, i32), Results: types(i64), Call: with(responseBody)},
	{Module: Module, Name: "response_close", Params: types(i32), Results: types(i32), Call: with(responseClose)},
}}
