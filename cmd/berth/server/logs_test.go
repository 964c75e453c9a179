package server

import (
	"bufio"
	"context"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestLiveLogs follows everything while something is said, and comes back.
func TestLiveLogs(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	resp, err := f.owner.Do(ctx, "GET", "/logs/live", url.Values{"source": {"server"}, "text": {"canary"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	f.server.log.Warn("a canary sings\x1b[31m", "secretless", true)
	lines := bufio.NewScanner(resp.Body)
	var got []string
	for len(got) < 2 && lines.Scan() {
		if text := lines.Text(); strings.HasPrefix(text, "id: ") || strings.HasPrefix(text, "data: ") {
			got = append(got, text)
		}
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "id: "+f.server.run+"-") || !strings.Contains(got[1], `"text":"a canary sings\\x1b[31m secretless=true"`) {
		t.Errorf("%q, %v", got, lines.Err())
	}
}
