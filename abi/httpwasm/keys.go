package httpwasm

import (
	"net/textproto"
	"strings"
)

// keys are the names of fields that nearly everybody uses, as guests write
// them and as net/http keeps them: to find one allocates nothing.
var keys = func() map[string]string {
	known := map[string]string{}
	for key := range strings.FieldsSeq(`
		Accept Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin Age Allow
		Authorization Cache-Control Connection Content-Disposition Content-Encoding Content-Language Content-Length Content-Location Content-Range
		Content-Security-Policy Content-Type Cookie Date Etag Expect Expires Forwarded Host If-Match If-Modified-Since If-None-Match If-Range Last-Modified
		Link Location Origin Permissions-Policy Range Referer Referrer-Policy Retry-After Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site Server Set-Cookie
		Strict-Transport-Security Te Trailer Transfer-Encoding Upgrade User-Agent Vary Via Www-Authenticate X-Content-Type-Options X-Forwarded-For
		X-Forwarded-Host X-Forwarded-Proto X-Frame-Options X-Real-Ip X-Request-Id X-Requested-With`) {
		known[key], known[strings.ToLower(key)] = key, key
	}
	known["ETag"], known["TE"], known["WWW-Authenticate"] = "Etag", "Te", "Www-Authenticate"
	return known
}()

// key returns a field's name as net/http keeps it. One that is malformed is
// returned as it is.
func key(name []byte) string {
	if key, ok := keys[string(name)]; ok {
		return key
	}
	return textproto.CanonicalMIMEHeaderKey(string(name))
}

// headerKey reads the name of a field, which must not be empty.
func (c call) headerKey(ptr, n uint64) (string, error) {
	if uint32(n) == 0 {
		return "", fault("header name is empty")
	}
	b, err := c.bytes("header name", ptr, n)
	return key(b), err
}
