//go:build linux

package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/berth-host/berth/failsafe/protocol"
)

// TestLeaveInABrowser takes the owner's way out of failsafe mode in a browser:
// log in, read why, start.
func TestLeaveInABrowser(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed")
	}
	r := newRig(t, quick)
	r.sabotage(sabotage{Phase: protocol.PhasePlan, Kind: "panic"})
	r.start()
	r.within(pageTime, "the failsafe page", r.inFailsafe)
	r.mend()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(time.Minute))
	alloc, stopAlloc := chromedp.NewExecAllocator(t.Context(), options...)
	defer stopAlloc()
	quiet := chromedp.WithErrorf(func(format string, args ...any) {
		if !strings.HasPrefix(format, "unhandled") { // events that are newer than chromedp
			fmt.Fprintf(os.Stderr, format+"\n", args...)
		}
	})
	ctx, stop := chromedp.NewContext(alloc, quiet)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var page string
	err = chromedp.Run(ctx,
		chromedp.Navigate(r.console+"/"),
		chromedp.SendKeys("#password", ownerPassword+"\r", chromedp.ByQuery),
		chromedp.WaitVisible(`form[action="/start"] button.first`, chromedp.ByQuery),
		chromedp.Text("body", &page, chromedp.ByQuery),
		chromedp.Click(`form[action="/start"] button.first`, chromedp.ByQuery),
	)
	if err != nil {
		t.Fatalf("%v\n%s", err, r.stderr)
	}
	if !strings.Contains(page, injected) {
		t.Errorf("the page does not tell the cause:\n%s", page)
	}
	r.within(pageTime, "the server", r.ready)
	r.wantSite()
	// The page comes back by itself as the console, and the owner is known there.
	var title string
	for begin := time.Now(); time.Since(begin) < pageTime; time.Sleep(100 * time.Millisecond) {
		if err := chromedp.Run(ctx, chromedp.Title(&title), chromedp.Text("body", &page, chromedp.ByQuery)); err == nil && strings.Contains(page, "Modules") && !strings.Contains(page, "failsafe") {
			return
		}
	}
	t.Errorf("the browser shows %q: %.300s", title, page)
}
