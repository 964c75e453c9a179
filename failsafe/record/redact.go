package record

import "regexp"

// redacted stands where a secret was.
const redacted = "[redacted]"

// secrets are the shapes of secrets in logs, and what is left of each.
var secrets = []struct {
	shape *regexp.Regexp
	with  string
}{
	// A whole header, as headers are logged or dumped: Authorization: Basic …
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(["']?\s*[:=]\s*)[^\r\n]+`), "${1}${2}" + redacted},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}`), "${1} " + redacted},
	// Tokens of berth itself, berth_<id>_<secret>: the ID may be known.
	{regexp.MustCompile(`\b(berth_(?:[0-9a-f]{16}_)?)[0-9a-f]{16,}`), "${1}" + redacted},
	// password=…, "client_secret": "…", --api-key …; and lists of values, as
	// forms and headers are dumped: "password":["…"]
	{regexp.MustCompile(`(?i)((?:password|passwd|passphrase|secret|token|(?:api|access|private)[_-]?key)["']?\s*[:=]\s*)(\[[^\]\n]*\]?|\{[^}\n]*\}?|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;&"']+)`), "${1}" + redacted},
	// https://user:password@host
	{regexp.MustCompile(`([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@`), "${1}" + redacted + "@"},
	{regexp.MustCompile(`(?s)-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`), "-----BEGIN ${1}PRIVATE KEY----- " + redacted},
}

// Redact returns s without what looks like a secret: values of authorization
// and cookie headers, bearer and berth_… tokens, values of names like
// password, passwords in URLs, private keys. It can't know every secret: logs
// must not hold them in the first place.
func Redact(s string) string {
	for _, secret := range secrets {
		s = secret.shape.ReplaceAllString(s, secret.with)
	}
	return s
}
