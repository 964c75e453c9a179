package site

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/host/engine"
)

// A misdeed is what a hostile guest does in one request, and what comes of it.
type misdeed struct {
	path   string
	status int    // 0: the answer is cut off
	answer string // "": a page of the site, or nothing
	x      string // value of header field X; "" for none
	logged string // first line of each event in the owner's log, with levels; "" for nothing
}

// check asks for it and looks at what the visitor gets and the owner reads,
// and whether the neighbour at the root answers on.
func (m misdeed) check(t *testing.T, s *Site, v visitor, mount string) {
	t.Helper()
	before := len(logOf(t, s, mount))
	got, err := v.try("POST", m.path, nil) // a GET that was cut off would be tried again
	answer := got.body
	if strings.HasPrefix(answer, "<!doctype html>") {
		answer = ""
	}
	switch {
	case m.status == 0 && err == nil:
		t.Errorf("%s: a whole answer: %d %.100q", m.path, got.status, got.body)
	case m.status != 0 && (err != nil || got.status != m.status || answer != m.answer):
		t.Errorf("%s: %d %.100q, %v; want %d %q", m.path, got.status, answer, err, m.status, m.answer)
	}
	if x := strings.Join(got.header.Values("X"), "|"); x != m.x {
		t.Errorf("%s: header field X is %q, want %q", m.path, x, m.x)
	}
	if logged := strings.Join(logOf(t, s, mount)[before:], "|"); logged != m.logged {
		t.Errorf("%s: the log says %q, want %q", m.path, logged, m.logged)
	}
	v.get("/").want(t, 200, "healthy")
}

// logOf returns the level and the first line of each event of a mount.
func logOf(t *testing.T, s *Site, mount string) (lines []string) {
	t.Helper()
	for line := range s.Log(t.Context(), mount, Production, false) {
		text, _, _ := strings.Cut(line.Text, "\n")
		lines = append(lines, line.Level+" "+text)
	}
	return lines
}

// TestLate lets testdata/late.wat go on after its answer, hold more than it
// may, and call itself. What lies it can tell is in TestLiar.
func TestLate(t *testing.T) {
	u := guest(t, "late")
	u.Code, u.Data = codeOf(guestFile(t, "late")), noData{}
	u.Limits = engine.Limits{Timeout: time.Second, Memory: 4 << 20}
	u.Dependencies = map[string]*Unit{"next": guest(t, "dependency")}
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "healthy"))), mountAt("/late", deploy(u)))
	v := visitorOf(t, s)
	for i, m := range []misdeed{
		// After an answer: the rest of it may follow, and all else comes too late.
		{status: 200, answer: "xx", x: "y"},
		{status: 200, answer: "x", x: "y"},
		{status: 200, answer: "x", x: "y"},
		{status: 200, answer: "x", x: "y"},
		{status: 200, answer: "x", x: "y"},
		{status: 200, answer: "x", x: "y", logged: "warn x"},
		{status: 200, answer: "00"},

		{status: 500, logged: "error http_handler: protocol version: pointer 131071+8 is outside the memory"},
		{status: 500, logged: "error http_handler: header name: pointer 131071+2 is outside the memory"},
		{status: 500, logged: "error berth: pointer 131071+2 is outside the memory"},
		{status: 500, logged: `error http_handler: "a b" is not a method`},
		{status: 500, logged: `error http_handler: "a b" is not a path with a query`},
		{status: 500, logged: "error http_handler: header field X has 66001 bytes; the most is 65536"},
		{status: 500, logged: "error http_handler: the headers are 1200 texts, not at most 256 pairs of name and value"},
		{status: 200, answer: "-4"},
		{status: 200, answer: "-8"},
		{status: 200, answer: "-1"},
		{status: 500, logged: "error berth: pointer 131071+2 is outside the memory"},
		{status: 200, answer: "-5", logged: "warn request: the method is malformed"},

		{status: 500, logged: "error stack overflow: calls too deep, as by a recursion without an end"},
		{status: 500, logged: "error stack overflow: calls too deep, as by a recursion without an end"},
	} {
		m.path = fmt.Sprintf("/late/%d", i)
		m.check(t, s, v, "mount /late")
	}
}

// A handler that calls itself at each depth, again and again, would make more
// calls than there are atoms. All of them share the time of the first.
func TestSelfWithoutEnd(t *testing.T) {
	u := guest(t, "late")
	u.Code = codeOf(guestFile(t, "late"))
	u.Limits = engine.Limits{Timeout: time.Second, Memory: 4 << 20}
	u.Dependencies = map[string]*Unit{"self": u}
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "healthy"))), mountAt("/late", deploy(u)))
	v := visitorOf(t, s)
	begin := time.Now()
	got, err := v.try("POST", "/late/21", nil)
	if took := time.Since(begin); err != nil || got.status != 504 || took > 5*time.Second {
		t.Errorf("%d after %v, %v; want 504 after a second", got.status, took, err)
	}
	lines := logOf(t, s, "mount /late")
	if last := lines[len(lines)-1]; last != "error the time limit was reached: 1s of wall time" {
		t.Errorf("the log ends with %q", last)
	}
	v.get("/").want(t, 200, "healthy")
}

// TestLyingProgram lets testdata/lying_program.wat lie to the functions of WASI
// and print what is no answer. It traps, for status 500, when a lie is believed.
func TestLyingProgram(t *testing.T) {
	const noHead = `error the command's output does not begin with a CGI header such as "Content-Type: text/plain" and an empty line: `
	misdeeds := []misdeed{
		{path: "/a", status: 200, answer: "x"},
		{path: "/b", status: 200, answer: "x"},
		{path: "/c", status: 200, answer: "x"},
		{path: "/d", status: 200, answer: "x"},
		{path: "/e", status: 200, answer: "x"},
		{path: "/f", status: 200, answer: "x"},
		{path: "/g", status: 502, logged: noHead + `"99" is not a status from 200 to 599`},
		{path: "/h", status: 502, logged: noHead + `line "X: \x01" is no header field`},
		{path: "/i", status: 504, logged: "error the time limit was reached: 1s of wall time"},
		{path: "/j", logged: "error unreachable code was reached: the guest gave up, as by a panic"},
		{path: "/k", status: 200, answer: "x", logged: "warn the program ended with exit code 4294967295"},
	}
	mounts := []Mount{mountAt("/", deploy(guest(t, "healthy")))}
	for _, m := range misdeeds {
		u := program(t, m.path[1:])
		u.ID, u.Code = "lying "+m.path, codeOf(guestFile(t, "lying_program"))
		u.Limits.Timeout = time.Second
		mounts = append(mounts, mountAt(m.path, deploy(u)))
	}
	s := newSite(t, Options{}, mounts...)
	v := visitorOf(t, s)
	for _, m := range misdeeds {
		m.check(t, s, v, "mount "+m.path)
	}
}
