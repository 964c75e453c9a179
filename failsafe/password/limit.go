package password

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// What a [Limiter] allows.
const (
	freeTries   = 5                // of one address before it has to wait
	firstWait   = time.Minute      // after them, doubling with each try
	longestWait = 15 * time.Minute // at which doubling ends
	forgetAfter = time.Hour        // without a try
	allTries    = 60               // of all addresses together, refilled one a second
)

// A Limiter slows down who guesses passwords. An address has five tries, then
// one a minute, one in two minutes and so on up to one in a quarter of an
// hour; all addresses together have sixty a minute. Nobody is locked out: an
// address that has logged in before, and the machine itself, don't wait for
// strangers. Sessions that are open are not its concern. The zero value is
// ready; all methods may be called at once. Time is that of the monotonic
// clock.
type Limiter struct {
	mu      sync.Mutex
	sources map[netip.Prefix]*source
	tokens  float64 // of all addresses
	filled  time.Time
}

// A source is an IPv4 address or an IPv6 /64, which is what one customer has.
type source struct {
	tries int
	last  time.Time
	known bool // has logged in
}

// Try asks to look at one password. The remote address is what [Source] says
// of a request. When the answer is more than 0, the password must not be
// looked at, and the next try makes sense after that time.
func (l *Limiter) Try(remote string) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.sweep(now)
	prefix := prefixOf(remote)
	s := l.sources[prefix]
	if s == nil {
		s = &source{}
	}
	if s.tries >= freeTries {
		if wait := waitAfter(s.tries) - now.Sub(s.last); wait > 0 {
			return wait
		}
	}
	if !s.known && prefix != thisMachine {
		if wait := l.take(now); wait > 0 {
			return wait
		}
	}
	s.tries++
	s.last = now
	l.sources[prefix] = s
	return 0
}

// Succeeded says that the try before was the password.
func (l *Limiter) Succeeded(remote string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sources[prefixOf(remote)]; s != nil {
		s.tries, s.known = 0, true
	}
}

// Failed returns how many tries failed lately, from all addresses.
func (l *Limiter) Failed() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(time.Now())
	for _, s := range l.sources {
		n += s.tries
	}
	return n
}

func waitAfter(tries int) time.Duration {
	return min(firstWait<<min(tries-freeTries, 8), longestWait)
}

// take takes one of the tries of all addresses.
func (l *Limiter) take(now time.Time) (wait time.Duration) {
	l.tokens = min(allTries, l.tokens+now.Sub(l.filled).Seconds())
	l.filled = now
	if l.tokens < 1 {
		return time.Duration((1 - l.tokens) * float64(time.Second))
	}
	l.tokens--
	return 0
}

// sweep forgets old tries. There are never many: strangers have sixty a
// minute together.
func (l *Limiter) sweep(now time.Time) {
	if l.sources == nil {
		l.sources, l.tokens, l.filled = map[netip.Prefix]*source{}, allTries, now
	}
	for prefix, s := range l.sources {
		switch {
		case now.Sub(s.last) < forgetAfter:
		case s.known:
			s.tries = 0
		default:
			delete(l.sources, prefix)
		}
	}
}

// Source returns the address that a request comes from, for a [Limiter]. That
// of a proxy on the same machine is not it, so that strangers can't use up the
// tries of the owner: the last address in X-Forwarded-For counts, which such a
// proxy has added. Who makes one up is still bound by what all have together.
func Source(r *http.Request) string {
	if prefixOf(r.RemoteAddr) != thisMachine {
		return r.RemoteAddr
	}
	lines := r.Header["X-Forwarded-For"]
	if len(lines) == 0 {
		return r.RemoteAddr
	}
	_, last, found := cutLast(lines[len(lines)-1], ",")
	if !found {
		last = lines[len(lines)-1]
	}
	return strings.TrimSpace(last)
}

// thisMachine stands for all loopback addresses.
var thisMachine = netip.MustParsePrefix("127.0.0.1/32")

func prefixOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{} // all that have no address are one
	}
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return thisMachine
	}
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fits the address
	return p
}
