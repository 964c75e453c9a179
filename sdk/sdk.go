package sdk

import _ "embed"

// CHeader is berth.h, all that a handler in C needs.
//
//go:embed c/berth.h
var CHeader []byte
