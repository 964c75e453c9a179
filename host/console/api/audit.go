package api

import "time"

// AuditRequest asks for entries of the audit log, the newest first.
type AuditRequest struct {
	Before uint64 `query:"before"` // entries with lower numbers; 0: from the newest
	Limit  int    `query:"limit"`  // 0: 50; at most 1000
	Text   string `query:"text"`   // part of any field, in whatever case
}

// AuditEntry is one thing that was done, or tried.
type AuditEntry struct {
	Number  uint64    `json:"number"`
	Time    time.Time `json:"time"`
	Who     string    `json:"who"`               // name of an owner or of a token
	How     string    `json:"how"`               // "session", "token", "machine" for the token of this machine, or "server"
	From    string    `json:"from,omitempty"`    // address of the network
	Action  string    `json:"action"`            // in words
	Subject string    `json:"subject,omitempty"` // what it was done to: names, never values
	Result  string    `json:"result"`            // "done", or the code of an error
}
