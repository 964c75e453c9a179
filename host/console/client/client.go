// Package client calls a running server's API. The command line uses it; it
// holds no state but where the server is.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console"
)

// AccessFile is the file in the data folder by which programs of the same
// user find the running server and may call it. The server writes it, with
// mode 0600, when it starts.
const AccessFile = "console.json"

// Access is the content of [AccessFile].
type Access struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// A Client calls one server.
type Client struct {
	access Access
	http   *http.Client
}

// Find returns a client of the server whose data folder is dir, or of the one
// that the environment names: BERTH_URL and BERTH_TOKEN.
func Find(dir string) (*Client, error) {
	if u := os.Getenv("BERTH_URL"); u != "" {
		return New(Access{URL: u, Token: os.Getenv("BERTH_TOKEN")}), nil
	}
	b, err := os.ReadFile(filepath.Join(dir, AccessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &console.Error{Code: "no_server", Message: fmt.Sprintf("no running server has its data in %s", dir),
			Hint: "start one with berth serve, or say where it is with --data DIR (or BERTH_URL and BERTH_TOKEN)"}
	}
	if err != nil {
		return nil, err
	}
	var access Access
	if err := json.Unmarshal(b, &access); err != nil {
		return nil, fmt.Errorf("read %s: %w", AccessFile, err)
	}
	return New(access), nil
}

// New returns a client.
func New(access Access) *Client {
	access.URL = strings.TrimSuffix(access.URL, "/")
	return &Client{access: access, http: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Call sends in as JSON (nil: no body) and decodes the answer into out (nil:
// ignored). A failure that the server explains is a [*console.Error].
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.Do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	return nil
}

// Do sends a body as it is and returns the answer if its status is 2xx; the
// caller closes its body.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	u := c.access.URL + console.Prefix + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.access.Token)
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &console.Error{Code: "no_server", Message: "the server does not answer: " + urlError(err), Hint: "is it running? start it with berth serve"}
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var answer struct {
		Error *console.Error `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil || answer.Error == nil {
		return nil, fmt.Errorf("the server answered %s", resp.Status)
	}
	answer.Error.Status = resp.StatusCode
	return nil, answer.Error
}

// urlError leaves out the URL, which the reader knows.
func urlError(err error) string {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

// Follow waits for a job to end and calls progress for each change of it.
// The job goes on when ctx ends.
func (c *Client) Follow(ctx context.Context, job console.Job, progress func(console.Job)) (console.Job, error) {
	failures := 0
	for job.State == console.JobRunning {
		progress(job)
		query := url.Values{"after": {fmt.Sprint(job.Version)}}
		var now console.Job // a new one: decoding leaves alone what the answer doesn't name
		err := c.Call(ctx, http.MethodGet, "/jobs/"+job.ID, query, nil, &now)
		if e := (*console.Error)(nil); errors.As(err, &e) && e.Code == "no_server" && failures < followRetries {
			failures++
			time.Sleep(followPause)
			continue
		}
		if err != nil {
			return job, err
		}
		job, failures = now, 0
	}
	progress(job)
	return job, nil
}

// A server that doesn't answer is asked again for some seconds: the
// connection may have broken while the job goes on.
const (
	followRetries = 20
	followPause   = 300 * time.Millisecond
)
