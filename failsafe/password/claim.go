package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/berth-host/berth/failsafe/smallfile"
)

const (
	// ClaimFile holds the address with the code, in the data folder.
	ClaimFile = "claim-url.txt"
	// ClaimPath is the page of the console where a server is claimed. The
	// code is its parameter [ClaimParameter], in the query or in a form.
	ClaimPath      = "/claim"
	ClaimParameter = "code"

	codeSize = 16 // bytes: 128 bit
)

// ErrClaimed is the error of who comes too late.
var ErrClaimed = errors.New("this server has a password already")

// A Claim decides who may set the first password: who sits at the machine, or
// knows a code that is written where only the owner can look. The code is used
// up with the password. All methods may be called at once.
type Claim struct {
	owner *Owner
	file  string
	code  string
	mu    sync.Mutex // of Set
}

// Claim returns the claim of a server. An address that was announced before
// keeps its code, so that it stays true when the server starts again.
func (o *Owner) Claim() *Claim {
	c := &Claim{owner: o, file: filepath.Join(o.folder, ClaimFile)}
	if data, err := smallfile.Read(c.file, maxFile); err == nil {
		if m := announced.FindSubmatch(data); m != nil {
			c.code = string(m[1])
		}
	}
	if c.code == "" {
		b := make([]byte, codeSize)
		_, _ = rand.Read(b) // never fails since Go 1.24
		c.code = hex.EncodeToString(b)
	}
	return c
}

var announced = regexp.MustCompile(`^[!-~]{1,1000}` + ClaimPath + `\?` + ClaimParameter + `=([0-9a-f]{32})\n$`)

// Open reports whether a password may be claimed at all: there is none, or it
// can't be read any more.
func (c *Claim) Open() bool {
	err := c.owner.State()
	return errors.Is(err, ErrNone) || errors.Is(err, ErrDamaged)
}

// URL returns the address with the code for a console at an address like
// http://127.0.0.1:8079.
func (c *Claim) URL(console string) string {
	return console + ClaimPath + "?" + url.Values{ClaimParameter: {c.code}}.Encode()
}

// Announce writes the address with the code to [ClaimFile] and returns it. It
// is to be printed as well, and is good even when the file can't be written.
func (c *Claim) Announce(console string) (address string, err error) {
	address = c.URL(console)
	if err := smallfile.Write(c.file, []byte(address+"\n")); err != nil {
		return address, fmt.Errorf("writing the address to claim the server: %w", err)
	}
	return address, nil
}

// File is where [Claim.Announce] writes the address.
func (c *Claim) File() string { return c.file }

// Allowed reports whether the sender of a request may claim the server: it
// comes from the same machine and through no proxy, or it has the code. When
// there was a password that can't be read any more, the code alone counts. It
// reads the form of a POST: bound the body before.
func (c *Claim) Allowed(r *http.Request) bool {
	err := c.owner.State()
	switch {
	case errors.Is(err, ErrNone):
		return local(r) || c.hasCode(r)
	case errors.Is(err, ErrDamaged):
		return c.hasCode(r)
	}
	return false
}

// Code returns the code that a request has, to be carried through a form, or
// "" when it isn't the right one.
func (c *Claim) Code(r *http.Request) string {
	if c.hasCode(r) {
		return c.code
	}
	return ""
}

func (c *Claim) hasCode(r *http.Request) bool {
	return subtle.ConstantTimeCompare([]byte(r.FormValue(ClaimParameter)), []byte(c.code)) == 1
}

// Set sets the first password, as [Owner.Set] does, and uses up the code. Of
// two who try at once one gets [ErrClaimed].
func (c *Claim) Set(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.Open() {
		return ErrClaimed
	}
	if err := c.owner.Set(text); err != nil {
		return err
	}
	c.Forget()
	return nil
}

// Forget removes the announced address, of a server that has a password.
func (c *Claim) Forget() {
	if err := os.Remove(c.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		// It says nothing any more: the password is set.
		_ = smallfile.Write(c.file, nil)
	}
}

// forwarding are the headers by which a proxy says that it is one.
var forwarding = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip", "Via",
	"True-Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Cf-Connecting-Ip", "Fly-Client-Ip",
}

// local reports whether a request comes from a browser on the same machine. To
// a proxy there, which makes strangers look local, these are signs: its
// headers, HTTP/1.0, which nginx speaks unless told otherwise, and an Origin
// or Referer that is not of this machine. A proxy that hides all of them is
// not seen: claim a server before one stands in front of it.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !Loopback(host) || !Loopback(hostOf(r.Host)) || !r.ProtoAtLeast(1, 1) {
		return false
	}
	for _, name := range forwarding {
		if r.Header[name] != nil {
			return false
		}
	}
	for _, name := range []string{"Origin", "Referer"} {
		if text := r.Header.Get(name); text != "" && text != "null" {
			if u, err := url.Parse(text); err != nil || !Loopback(u.Hostname()) {
				return false
			}
		}
	}
	return true
}

// Loopback reports whether a host name or address, without port, is that of
// the machine itself.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
