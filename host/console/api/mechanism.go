package api

import "time"

// AccessMechanism says what lets owners into the console. The owner's password
// does always, at /emergency.
type AccessMechanism struct {
	Filter *AccessFilter `json:"filter,omitempty"` // absent: the password and passkeys
	Trial  *AccessTrial  `json:"trial,omitempty"`
	// Confirmable reports whether the asker's session was let in by the filter
	// on trial, so that it may make it the mechanism.
	Confirmable bool `json:"confirmable"`
}

// AccessFilter is a filter that lets owners in.
type AccessFilter struct {
	Package string   `json:"package"` // package@version
	Title   string   `json:"title"`
	Owners  []string `json:"owners"`            // names that it may let in; none: whoever it lets pass
	Problem string   `json:"problem,omitempty"` // why it can't be asked
}

// AccessTrial is a filter that is tried.
type AccessTrial struct {
	AccessFilter
	Path  string    `json:"path"` // of the console: where to log in by it
	Until time.Time `json:"until"`
}

// AccessTrialRequest asks for a filter to be tried. It is configured for all
// uses of its package.
type AccessTrialRequest struct {
	Package string   `json:"package" audit:"show"` // package or package@version
	Owners  []string `json:"owners,omitempty" audit:"show"`
	Grants  []string `json:"grants,omitempty" audit:"show"` // "all" or "fetch:HOST"
}
