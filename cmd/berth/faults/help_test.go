//go:build linux

package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// json is the setup as the test binary takes it.
func (s setup) json() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// childrenOf returns the children of a process, whose ends it has taken notice
// of or not.
func childrenOf(pid int) (children []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, task := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// childOf returns a child of a process, 0 when it has none.
func childOf(t testing.TB, pid int) int {
	t.Helper()
	children := childrenOf(pid)
	if len(children) == 0 {
		return 0
	}
	return children[0]
}

// isGone reports whether a process has ended, whether or not its parent has
// taken notice.
func isGone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}

// try calls the API of a server that may be on its way out.
func (r *rig) try(method, path string, in, out any) error {
	owner, err := client.Find(r.Data)
	if err != nil {
		return err
	}
	return owner.Call(r.Context(), method, path, nil, in, out)
}

// install uploads a package and returns it.
func (r *rig) install(name string, content []byte) api.Package {
	r.Helper()
	resp, err := r.owner().Do(r.Context(), "POST", "/packages/upload", url.Values{"name": {name}}, bytes.NewReader(content))
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		r.Fatal(err)
	}
	job, err = r.owner().Follow(r.Context(), job, func(console.Job) {})
	if err != nil || job.Error != nil {
		r.Fatalf("install: %v %v", err, job.Error)
	}
	var installed api.Installed
	if err := json.Unmarshal(job.Result, &installed); err != nil {
		r.Fatal(err)
	}
	return installed.Package
}

// wantData asserts that what was acknowledged is there.
func (r *rig) wantData(mount, key string) {
	r.Helper()
	var e api.DataEntry
	query := url.Values{"mount": {mount}, "slot": {"production"}, "key": {key}}
	if err := r.owner().Call(r.Context(), "GET", "/data/entry", query, nil, &e); err != nil {
		r.Errorf("%q was acknowledged and is lost: %v", key, err)
	} else if !bytes.Equal(e.Value, bytes.Repeat([]byte(key), 200<<10)) {
		r.Errorf("%q is not what was written", key)
	}
}
