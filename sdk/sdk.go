// Package sdk holds what authors of handlers build with, one folder for each
// language. Its test builds the examples of their pages.
package sdk

import _ "embed"

// CHeader is berth.h, all that a handler in C needs.
//
//go:embed c/berth.h
var CHeader []byte
