package site

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// BetaParameter is the query parameter by which a token reaches the site, on
// any path: the visitor's browser keeps it as a cookie and is sent on to the
// address without it. The value "off" makes the browser forget all tokens.
const BetaParameter = "berth-beta"

// OwnerToken returns a token whose bearer sees the beta view of the whole
// site, also while it is closed. key is [Settings.BetaKey].
func OwnerToken(key []byte, expires time.Time) string { return sealToken(key, "owner", "", expires) }

// LinkToken returns a token whose bearer sees the beta slot of one mount, if
// the mount's policy lets links in.
func LinkToken(key []byte, mountID string, expires time.Time) string {
	return sealToken(key, "link", mountID, expires)
}

// A token is what a valid one says.
type token struct {
	owner   bool
	mount   string // of a link
	expires time.Time
}

// Contexts of signatures, so that one kind of text never passes for another.
const (
	tokenContext = "berth beta token 1\x00"
	shareContext = "berth beta share 1\x00"
)

const macSize = 16 // bytes that are kept of an HMAC-SHA256

var encoding = base64.RawURLEncoding.Strict()

func sealToken(key []byte, kind, mount string, expires time.Time) string {
	text := kind + "\x00" + mount + "\x00" + strconv.FormatInt(expires.Unix(), 10)
	return seal(key, tokenContext, []byte(text))
}

// openToken returns what a token says. ok is false for one that is forged,
// damaged or expired.
func openToken(key []byte, sealed string, now time.Time) (t token, ok bool) {
	text, ok := open(key, tokenContext, sealed)
	parts := strings.Split(string(text), "\x00")
	if !ok || len(parts) != 3 {
		return token{}, false
	}
	unix, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return token{}, false
	}
	t = token{owner: parts[0] == "owner", mount: parts[1], expires: time.Unix(unix, 0)}
	return t, now.Before(t.expires)
}

// A shareNumber decides to which share of the visitors one belongs: it is
// random, from 0 to 9,999, and stays in the visitor's cookie. A visitor with
// 512 is in a share of 10 % and stays in it when that grows to 50 %.
type shareNumber int

func (n shareNumber) within(percent int) bool { return int(n) < percent*100 }

// newShare returns a number and its sealed form.
func newShare(key []byte) (shareNumber, string) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return shareOf(b[:]), seal(key, shareContext, b[:])
}

// openShare is closed to numbers that a visitor has chosen.
func openShare(key []byte, sealed string) (shareNumber, bool) {
	b, ok := open(key, shareContext, sealed)
	if !ok || len(b) != 8 {
		return 0, false
	}
	return shareOf(b), true
}

func shareOf(b []byte) shareNumber { return shareNumber(binary.LittleEndian.Uint64(b) % 10_000) }

// seal signs content: base64url(content).base64url(mac).
func seal(key []byte, context string, content []byte) string {
	return encoding.EncodeToString(content) + "." + encoding.EncodeToString(mac(key, context, content))
}

// open returns the content of a sealed text. Nothing is valid under an empty key.
func open(key []byte, context, sealed string) (content []byte, ok bool) {
	text, signature, found := strings.Cut(sealed, ".")
	if !found || len(key) == 0 {
		return nil, false
	}
	content, err := encoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	sum, err := encoding.DecodeString(signature)
	return content, err == nil && hmac.Equal(sum, mac(key, context, content))
}

func mac(key []byte, context string, content []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(context))
	h.Write(content)
	return h.Sum(nil)[:macSize]
}
