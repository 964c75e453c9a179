package api

import "time"

// Certificates are the settings of HTTPS, and how it stands.
type Certificates struct {
	Automatic   bool   `json:"automatic"`   // certificates are got from an authority
	Authority   string `json:"authority"`   // address of its directory
	Email       string `json:"email"`       // for the authority to reach the owner; may be ""
	Redirect    bool   `json:"redirect"`    // plain HTTP leads to HTTPS, for names with a certificate
	HSTSDays    int    `json:"hstsDays"`    // browsers come by HTTPS only for so long; 0: they are not told to
	Port        int    `json:"port"`        // where visitors reach HTTPS
	ConsoleHost string `json:"consoleHost"` // name under which the console answers by HTTPS; "": none

	Address string            `json:"address"`           // where HTTPS is listened for; "": not yet
	Problem string            `json:"problem,omitempty"` // why it is not listened for
	Names   []CertificateName `json:"names"`
	Own     []OwnCertificate  `json:"own"`
}

// CertificateName is a name of the server, and its certificate.
type CertificateName struct {
	Name    string    `json:"name"`
	Use     string    `json:"use"`              // "site", "beta" or "console"
	Valid   bool      `json:"valid"`            // visitors can come by HTTPS
	Source  string    `json:"source,omitempty"` // "automatic" or "own"; absent: no certificate
	Issuer  string    `json:"issuer,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	Trying  bool      `json:"trying"`            // one is being got
	Problem string    `json:"problem,omitempty"` // why the last attempt failed
	Hint    string    `json:"hint,omitempty"`    // what the owner can do
	Tried   time.Time `json:"tried,omitzero"`    // when the last attempt ended
}

// OwnCertificate is one that the owner gave. Its key is never shown.
type OwnCertificate struct {
	ID      string    `json:"id"`
	Names   []string  `json:"names"`
	Issuer  string    `json:"issuer"`
	Expires time.Time `json:"expires"`
}

// CertificatesChange changes settings of HTTPS; absent fields stay.
type CertificatesChange struct {
	Automatic   *bool   `json:"automatic,omitempty" audit:"show"` // true: the owner consents to the authority's terms
	Authority   *string `json:"authority,omitempty" audit:"show"` // "": Let's Encrypt
	Email       *string `json:"email,omitempty" audit:"show"`
	Redirect    *bool   `json:"redirect,omitempty" audit:"show"`
	HSTSDays    *int    `json:"hstsDays,omitempty" audit:"show"`
	Port        *int    `json:"port,omitempty" audit:"show"` // 0: 443
	ConsoleHost *string `json:"consoleHost,omitempty" audit:"show"`
}

// OwnCertificateRequest brings a certificate with its chain, and its key, both
// in PEM.
type OwnCertificateRequest struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// OwnCertificateRef names an [OwnCertificate].
type OwnCertificateRef struct {
	ID string `path:"id"`
}
