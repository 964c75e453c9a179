package api

import (
	"encoding/json"
	"time"
)

// Passkey is one by which the owner can log in.
type Passkey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Host    string    `json:"host"` // name of the console that it is for
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"` // absent: never
}

// Ceremony is the begin of making a passkey or of logging in by one.
type Ceremony struct {
	ID      string          `json:"id"`      // to be sent with what the browser answers
	Options json.RawMessage `json:"options"` // for the browser's navigator.credentials
}

// PasskeyRequest asks for a new passkey.
type PasskeyRequest struct {
	Name string `json:"name"` // what the owner calls it, such as "laptop"
}

// CeremonyAnswer is what the browser answered.
type CeremonyAnswer struct {
	ID         string          `json:"id"`
	Credential json.RawMessage `json:"credential"`
}

// PasskeyRef names a [Passkey].
type PasskeyRef struct {
	ID string `path:"id"`
}
