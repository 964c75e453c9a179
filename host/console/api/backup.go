package api

import "time"

// Check is what a check of the store found.
type Check struct {
	Damages []Damage `json:"damages"`
}

// Damage is one thing that is damaged.
type Damage struct {
	Subject string `json:"subject"`
	Problem string `json:"problem"`
}

// Restore says what is to be restored, and what was.
type Restore struct {
	Staged time.Time   `json:"staged,omitzero"` // when a backup was checked and laid ready for the next start of the server; absent: none
	Kept   []KeptStore `json:"kept"`            // what backups have replaced, the newest first
}

// KeptStore is a folder with what the server remembered before a backup was
// restored.
type KeptStore struct {
	Name string    `json:"name"` // of the folder, in the data folder
	Time time.Time `json:"time"`
	Size int64     `json:"size"` // bytes
}

// KeptRef names a [KeptStore].
type KeptRef struct {
	Name string `path:"name"`
}
