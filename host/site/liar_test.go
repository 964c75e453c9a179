package site

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/abi/berth"
	"github.com/berth-host/berth/host/engine"
)

// noData is data without a key in it.
type noData struct{ Data }

func (noData) Get(context.Context, string) (berth.Entry, error) {
	return berth.Entry{}, fs.ErrNotExist
}

// TestLiar lets testdata/liar.wat lie to every host function and take what it
// can get, while its neighbour is asked.
func TestLiar(t *testing.T) {
	const (
		nothing = ""
		late    = "error the time limit was reached: 1s of wall time"
	)
	u := guest(t, "settings")
	u.ID, u.Code, u.Data = "liar", codeOf(guestFile(t, "liar")), noData{}
	u.Limits = engine.Limits{Timeout: time.Second, Memory: 4 << 20}
	s := newSite(t, Options{}, mountAt("/", deploy(guest(t, "healthy"))), mountAt("/liar", deploy(u)))
	v := visitorOf(t, s)
	for i, want := range []struct {
		status int    // 0: the answer is cut off
		answer string // "": a page of the site, or nothing
		logged string // "" for nothing
	}{
		{500, "", "error http_handler: config: pointer 65530+8 is outside the memory"},
		{500, "", "error http_handler: message: pointer 4294967295+2 is outside the memory"},
		{500, "", "error http_handler: method: pointer 65535+3 is outside the memory"},
		{500, "", "error http_handler: method: pointer 65535+9 is outside the memory"},
		{500, "", "error http_handler: uri: pointer 4294967292+7 is outside the memory"},
		{500, "", "error http_handler: uri: pointer 0+4294967295 is outside the memory"},
		{500, "", "error http_handler: header names: pointer 65535+32 is outside the memory"},
		{500, "", "error http_handler: 9 is not a kind of header"},
		{500, "", "error http_handler: header name: pointer 4294967287+9 is outside the memory"},
		{500, "", "error http_handler: header value: pointer 1+4294967294 is outside the memory"},
		{500, "", "error http_handler: the value of header field X has characters that are not allowed"},
		{500, "", "error http_handler: header name is empty"},
		{500, "", "error http_handler: 7 is not a kind of body"},
		{500, "", "error http_handler: body: pointer 65000+65000 is outside the memory"},
		{500, "", "error http_handler: body: pointer 1+65536 is outside the memory"},
		{500, "", "error http_handler: 99 is not a status from 200 to 599"},
		{500, "", "error http_handler: -200 is not a status from 200 to 599"},
		{200, "x", nothing},
		{500, "", "error http_handler: source address: pointer 65536+15 is outside the memory"},
		{500, "", "error http_handler: request head: pointer 65500+176 is outside the memory"},
		{500, "", "error http_handler: the headers do not end with a NUL byte"},
		{500, "", "error http_handler: headers: pointer 65535+2 is outside the memory"},
		{0, "", ""},
		{500, "", "error berth: pointer 4294967295+8 is outside the memory"},
		{500, "", "error berth: pointer 4294967295+5 is outside the memory"},
		{500, "", "error berth: pointer 65535+4294967295 is outside the memory"},
		{500, "", "error berth: pointer 0+2147483647 is outside the memory"},
		{500, "", "error berth: pointer 4294967295+9 is outside the memory"},
		{200, "", nothing}, // there is no key, and so no revision to write
		{500, "", "error berth: pointer 0+4294967295 is outside the memory"},
		{500, "", "error berth: pointer 65535+65535 is outside the memory"},
		{500, "", "error berth: pointer 65535+2 is outside the memory"},
		{500, "", "error berth: pointer 4294967295+4294967295 is outside the memory"},
		{500, "", "error berth: pointer 65535+2 is outside the memory"},
		{500, "", "error berth: pointer 65535+2 is outside the memory"},
		{200, "", nothing}, // the handle is none
		{200, "", nothing},
		{200, "-5", "warn request: the head is longer than the request"},
		{200, "-5", "warn request: the head does not end with a NUL byte"},
		{200, "-5", "warn request: the head does not end with a NUL byte"},
		{200, "-1", nothing},
		{200, "-1", nothing},
		{200, "-1", nothing},
		{200, "-5", nothing},
		{200, "00", nothing},
		{500, "", "error http_handler: more than 256 header fields were set"},
		{200, "00", "info x"},
		{500, "", "error the limit of host function calls was reached: 1000000"},
		{504, "", late},
		{500, "", "error stack overflow: calls too deep, as by a recursion without an end"},
		{504, "", late},
		{200, "00", nothing},
		{200, "00", nothing},
		{500, "", "error call through a table entry that is empty or does not exist"},
		{0, "", ""},
	} {
		path := fmt.Sprintf("/liar/%d", i)
		got, err := v.try("GET", path, nil)
		if want.status == 0 {
			if err == nil {
				t.Errorf("%s: a whole answer: %d %.100q", path, got.status, got.body)
			}
			v.get("/").want(t, 200, "healthy")
			continue
		}
		answer := got.body
		if strings.HasPrefix(answer, "<!doctype html>") {
			answer = ""
		}
		if err != nil || got.status != want.status || answer != want.answer {
			t.Errorf("%s: %d %.100q, %v; want %d %q", path, got.status, answer, err, want.status, want.answer)
		}
		logged := ""
		for line := range s.Log(t.Context(), "mount /liar", Production, false) {
			if line.Request == got.header.Get("X-Request-Id") {
				text, _, _ := strings.Cut(line.Text, "\n")
				logged = line.Level + " " + text
			}
		}
		if logged != want.logged {
			t.Errorf("%s: the log says %q, want %q", path, logged, want.logged)
		}
		v.get("/").want(t, 200, "healthy")
	}
}
