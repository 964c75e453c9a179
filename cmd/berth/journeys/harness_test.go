package journeys

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/berth-host/berth/cmd/berth/server"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/host/engine"
)

// envCompile makes the test binary the child process that compiles modules.
const envCompile = "BERTH_TEST_COMPILE"

func TestMain(m *testing.M) {
	if os.Getenv(envCompile) != "" {
		os.Exit(engine.CompileMain(os.Stdin, os.Stdout, os.Stderr))
	}
	status := m.Run()
	closeBrowser()
	if programDir != "" {
		_ = os.RemoveAll(programDir) // a temporary folder
	}
	os.Exit(status)
}

// patience is how long anything on a page may take, on a machine that is busy.
const patience = 30 * time.Second

// browser is shared: each journey has a profile of its own in it.
var browser struct {
	once  sync.Once
	ctx   context.Context
	close func()
	err   error
}

// quietly leaves out what chromedp says of events that are newer than it.
var quietly = chromedp.WithErrorf(func(format string, args ...any) {
	if !strings.HasPrefix(format, "unhandled") {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
})

func closeBrowser() {
	if browser.close != nil {
		browser.close()
	}
}

func startBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("BERTH_BROWSER") == "required" {
			t.Fatal("no Chromium is installed, and BERTH_BROWSER=required asks for one")
		}
		t.Skip("no Chromium is installed: the console is not looked at in a browser")
	}
	browser.once.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(patience))
		alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, stop := chromedp.NewContext(alloc, quietly)
		browser.ctx, browser.close = ctx, func() { stop(); stopAlloc() }
		browser.err = chromedp.Run(ctx)
	})
	if browser.err != nil {
		t.Fatalf("Chromium does not start: %v", browser.err)
	}
	return browser.ctx
}

// A journey is one owner's browser before one server, with a count of what the
// owner had to do.
type journey struct {
	*testing.T
	*host
	ctx           context.Context
	clicks, typed int
	mobile        bool

	mu       sync.Mutex
	problems []string
}

// A host is a server at work.
type host struct {
	server        *server.Server
	data          string
	site, console string // URLs
	access        client.Access
	logs          *lockedBuffer
	stop          func()
}

const ownersPassword = "correct-horse-battery"

func newHost(t *testing.T, data string) *host {
	t.Helper()
	h := &host{data: data, logs: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(h.logs, nil))
	var err error
	h.server, err = server.Open(t.Context(), server.Startup{Data: data, Site: "127.0.0.1:0", HTTPS: "127.0.0.1:0", Console: "127.0.0.1:0"}, server.Options{
		Log: log,
		Compiler: func(ctx context.Context) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), envCompile+"=1")
			return cmd
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	t.Cleanup(h.stop)
	b, err := os.ReadFile(filepath.Join(data, client.AccessFile))
	if err == nil {
		err = json.Unmarshal(b, &h.access)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.site, h.console = h.server.SiteURL(), h.server.ConsoleURL()
	return h
}

// api calls the server as a program of its owner would, to get something ready
// that is not what the journey is about.
func (j *journey) api(method, path string, in, out any) {
	j.Helper()
	if err := client.New(j.access).Call(j.Context(), method, path, nil, in, out); err != nil {
		j.Fatalf("%s %s: %v", method, path, err)
	}
}

// newJourney starts a server and an owner's browser.
func newJourney(t *testing.T) *journey {
	t.Helper()
	startBrowser(t)
	return join(t, newHost(t, filepath.Join(t.TempDir(), "data")))
}

// join starts one more browser before a server that runs.
func join(t *testing.T, h *host) *journey {
	t.Helper()
	ctx, cancel := chromedp.NewContext(startBrowser(t), chromedp.WithTargetID(newWindow(t)))
	t.Cleanup(cancel)
	j := &journey{T: t, host: h, ctx: ctx}
	chromedp.ListenTarget(ctx, j.hear)
	// What the window hears lasts as long as the context of its first run.
	if err := chromedp.Run(ctx, network.Enable(), cdplog.Enable()); err != nil {
		t.Fatal(err)
	}
	j.run(chromedp.EmulateViewport(1280, 860))
	t.Cleanup(j.noProblems)
	return j
}

// newWindow opens a window with a profile of its own in the shared browser.
func newWindow(t *testing.T) (id target.ID) {
	t.Helper()
	ctx := cdp.WithExecutor(browser.ctx, chromedp.FromContext(browser.ctx).Browser)
	profile, err := target.CreateBrowserContext().Do(ctx)
	if err == nil {
		id, err = target.CreateTarget("about:blank").WithBrowserContextID(profile).WithNewWindow(true).Do(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.DisposeBrowserContext(profile).Do(ctx) }) // the browser may be gone
	return id
}

// hear notes what a page complains about: blocked by its policy, or failed in
// its scripts. That an answer had an error status is no such thing.
func (j *journey) hear(event any) {
	var problem string
	switch e := event.(type) {
	case *cdplog.EventEntryAdded:
		if e.Entry.Level != cdplog.LevelError && e.Entry.Source != cdplog.SourceSecurity || e.Entry.Source == cdplog.SourceNetwork {
			return
		}
		problem = fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
	case *runtime.EventExceptionThrown:
		problem = "script failed: " + e.ExceptionDetails.Error()
	default:
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.problems = append(j.problems, problem)
}

func (j *journey) noProblems() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, problem := range j.problems {
		j.Errorf("in the browser: %s", problem)
	}
	j.problems = nil
}

// forget drops what the browser has complained about, where that is wanted.
func (j *journey) forget() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.problems = nil
}

func (j *journey) run(actions ...chromedp.Action) {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		j.shot("failed")
		j.Fatalf("%v\nThe page reads:\n%s", err, j.text())
	}
}

// open goes to a page of the console, or to a whole address.
func (j *journey) open(path string) {
	j.Helper()
	if strings.HasPrefix(path, "/") {
		path = j.console + path
	}
	j.run(chromedp.Navigate(path))
}

// login gives the server a password, if it has none, and logs in.
func (j *journey) login() {
	j.Helper()
	j.open("/")
	j.fill("#password", ownersPassword)
	j.submit("main form")
	j.sees("Last changes")
	j.clicks, j.typed = 0, 0
}

// click clicks on the first visible link or button with a text, and waits for
// the page that follows, if one does.
func (j *journey) click(text string) {
	j.Helper()
	j.clicks++
	j.do(fmt.Sprintf(`(() => {
		const want = %s;
		const name = (e) => (e.getAttribute("aria-label") || e.innerText || e.value || "").trim();
		const all = [...document.querySelectorAll("main a, main button, main summary, main input[type=submit], a, button, summary")].filter((e) => e.checkVisibility() && !e.disabled);
		const found = all.find((e) => name(e) === want) || all.find((e) => name(e).startsWith(want)) || all.find((e) => name(e).includes(want));
		if (!found) return false;
		found.scrollIntoView({block: "center"});
		found.click();
		return true;
	})()`, quote(text)), "nothing to click says "+text)
}

// fill types a text into a field.
func (j *journey) fill(selector, text string) {
	j.Helper()
	j.typed++
	j.wait(fmt.Sprintf(`(() => {
		const field = document.querySelector(%s);
		if (!field || !field.checkVisibility()) return false;
		field.focus();
		if (field.select) field.select();
		return document.activeElement === field;
	})()`, quote(selector)), "there is no field "+selector)
	j.run(input.InsertText(text))
}

// attach chooses a file in a field for one.
func (j *journey) attach(selector, file string) {
	j.Helper()
	j.run(chromedp.SetUploadFiles(selector, []string{file}, chromedp.ByQuery))
}

// submit sends a form by its own button.
func (j *journey) submit(form string) {
	j.Helper()
	j.clicks++
	j.do(fmt.Sprintf(`(() => {
		const form = document.querySelector(%s);
		if (!form) return false;
		form.querySelector("button:not([type=button])").click();
		return true;
	})()`, quote(form)), "there is no form "+form)
}

// do runs a script that leads to another page or not, and lets it settle.
func (j *journey) do(script, otherwise string) {
	j.Helper()
	deadline := time.Now().Add(patience)
	for {
		var done bool
		ctx, cancel := context.WithTimeout(j.ctx, patience)
		err := chromedp.Run(ctx, chromedp.Evaluate(script, &done))
		cancel()
		switch {
		case err == nil && done:
			j.settle()
			return
		case time.Now().After(deadline):
			j.shot("failed")
			j.Fatalf("%s (%v)\nThe page reads:\n%s", otherwise, err, j.text())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// settle waits until the page that is on its way is there.
func (j *journey) settle() {
	time.Sleep(60 * time.Millisecond) // a navigation begins after its click
	j.wait(`document.readyState === "complete"`, "the page does not load")
}

// wait waits until a script says true.
func (j *journey) wait(script, otherwise string) {
	j.Helper()
	deadline := time.Now().Add(patience)
	for {
		var ok bool
		ctx, cancel := context.WithTimeout(j.ctx, patience)
		err := chromedp.Run(ctx, chromedp.Evaluate("Boolean("+script+")", &ok))
		cancel()
		if err == nil && ok {
			return
		}
		if time.Now().After(deadline) {
			j.shot("failed")
			j.Fatalf("%s (%v)\nThe page reads:\n%s", otherwise, err, j.text())
		}
		time.Sleep(40 * time.Millisecond)
	}
}

// sees waits until the page shows a text.
func (j *journey) sees(text string) {
	j.Helper()
	j.wait(`document.readyState === "complete" && document.body.innerText.includes(`+quote(text)+`)`, fmt.Sprintf("the page does not show %q", text))
}

// text is what the page reads.
func (j *journey) text() (text string) {
	ctx, cancel := context.WithTimeout(j.ctx, 5*time.Second)
	defer cancel()
	_ = chromedp.Run(ctx, chromedp.Evaluate(`document.body ? location.href + "\n" + document.body.innerText : ""`, &text)) // it is for a message
	return text
}

// eval returns what a script says.
func (j *journey) eval(script string, out any) {
	j.Helper()
	j.run(chromedp.Evaluate(script, out, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
}

func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be written
	}
	return string(b)
}

// phone makes the window 390 pixels wide, with touch.
func (j *journey) phone() {
	j.Helper()
	j.mobile = true
	j.run(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch))
}

// scheme makes the system light or dark.
func (j *journey) scheme(name string) {
	j.Helper()
	j.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}))
}

//go:embed testdata/axe.min.js.gz
var axeZipped []byte

var axe = sync.OnceValue(func() string {
	r, err := gzip.NewReader(bytes.NewReader(axeZipped))
	if err != nil {
		panic(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		panic(err)
	}
	return string(b)
})

// audit looks at the page that is open, in both themes: axe must find nothing,
// nothing may stick out at the side, and it is kept as pictures.
func (j *journey) audit(name string) {
	j.Helper()
	for _, scheme := range []string{"light", "dark"} {
		j.scheme(scheme)
		var found []struct {
			ID, Impact, Help string
			Nodes            []struct {
				HTML           string
				FailureSummary string
			}
		}
		j.run(chromedp.Evaluate(axe(), nil))
		j.eval(`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => r.violations)`, &found)
		for _, v := range found {
			for _, node := range v.Nodes {
				j.Errorf("%s, %s: axe %s (%s): %s\n%s\n%s", name, scheme, v.ID, v.Impact, v.Help, node.HTML, node.FailureSummary)
			}
		}
		var over string
		j.eval(`(() => {
			const wide = document.documentElement.clientWidth;
			if (document.documentElement.scrollWidth <= wide) return "";
			return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > wide + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120)).join("\n");
		})()`, &over)
		if over != "" {
			j.Errorf("%s, %s: the page is wider than the window:\n%s", name, scheme, over)
		}
		j.shot(name + "-" + scheme)
	}
	j.scheme("light")
	j.noProblems()
}

// shot keeps a picture of the whole page, where pictures are wanted.
func (j *journey) shot(name string) {
	dir := os.Getenv("BERTH_SCREENSHOTS")
	if dir == "" {
		return
	}
	if j.mobile {
		name += "-phone"
	}
	ctx, cancel := context.WithTimeout(j.ctx, patience)
	defer cancel()
	var png []byte
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = page.CaptureScreenshot().WithCaptureBeyondViewport(true).Do(ctx)
		return err
	}))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, unsafeInNames.Replace(j.Name()+"-"+name)+".png"), png, 0o644)
	}
	if err != nil {
		j.Logf("no picture: %v", err)
	}
}

var unsafeInNames = strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-")

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
