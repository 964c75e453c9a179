package api

import "time"

// States of the site, as its owner sees them.
const (
	StateOpen     = "open"     // visitors are answered
	StateClosed   = "closed"   // only its owner is
	StateDegraded = "degraded" // it is open, and something does not work
	StateUnknown  = "unknown"  // it can't be told now
)

// Overview is the site at a glance: what is shown beside everything else.
type Overview struct {
	Title    string    `json:"title"`
	State    string    `json:"state"`
	URL      string    `json:"url"` // where visitors find the site
	Revision uint64    `json:"revision"`
	Problems []Problem `json:"problems"`
	Facts    Facts     `json:"facts"`
}

// StateWord is the state as owners read it.
func (o Overview) StateWord() string {
	switch o.State {
	case StateOpen:
		return "Open"
	case StateClosed:
		return "Closed"
	case StateDegraded:
		return "Degraded"
	}
	return "Unknown"
}

// A Problem is something that its owner should look at.
type Problem struct {
	Subject string `json:"subject"` // such as "/news"
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
	Mount   string `json:"mount,omitempty"`   // ID, of a mount
	Package string `json:"package,omitempty"` // package@version, of a package
}

// Facts say how far a site is on its way from nothing to visitors.
type Facts struct {
	Packages   int  `json:"packages"`   // that can stand at a mount
	Mounts     int  `json:"mounts"`     // all
	Production int  `json:"production"` // mounts with something in production
	Beta       int  `json:"beta"`       // mounts with something in beta
	Missing    int  `json:"missing"`    // packages that stand nowhere yet and lack a required setting
	BetaSeen   bool `json:"betaSeen"`   // a beta was visited since the server started
	Open       bool `json:"open"`
}

// Bundled is a package that comes with berth and can be installed without a network.
type Bundled struct {
	ID          string `json:"id"` // for [InstallBundled]
	Package     string `json:"package"`
	Version     string `json:"version"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Installed   bool   `json:"installed"`
}

// InstallBundled asks for a bundled package.
type InstallBundled struct {
	ID string `json:"id"`
}

// Session is one browser in which an owner is logged in.
type Session struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"` // to within some minutes
	Expires time.Time `json:"expires"`
	Address string    `json:"address"` // from where it began
	Browser string    `json:"browser"`
	This    bool      `json:"this,omitempty"` // the one that asks
}

// SessionRef names a session.
type SessionRef struct {
	ID string `path:"id"`
}

// PasswordChange sets a new password for the owner. Every other session ends.
type PasswordChange struct {
	Password string `json:"password"`
}
