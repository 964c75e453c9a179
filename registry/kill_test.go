package registry

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
)

// What a child of this test binary is to do until it is killed.
const (
	killedDir    = "BERTH_TEST_KILLED_DIR"    // its store
	killedServer = "BERTH_TEST_KILLED_SERVER" // that mirrors every package
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := installUntilKilled(context.Background(), dir, os.Getenv(killedServer)); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func openKilled(ctx context.Context, dir, server string) (*Registry, *bolt.Store, error) {
	s, err := bolt.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	r, err := open(ctx, s, func(context.Context, name.ID, string, []byte) (Module, error) {
		time.Sleep(2 * time.Millisecond) // compiling takes its time
		return Module{Hash: "0", Dialect: "cgi"}, nil
	}, impatient)
	if err == nil {
		_, err = r.ChangeSettings(ctx, func(s *Settings) {
			s.Origins = []string{server}
			s.Mirrors = map[string]string{"foobar.example": server, "frundle.example": server, "baz.example": server, "util.example": server}
		})
	}
	return r, s, err
}

// killedRoots are installed and removed in turn. They share a dependency.
var killedRoots = []string{"foobar.example/foobar", "frundle.example/frundle"}

func installUntilKilled(ctx context.Context, dir, server string) error {
	r, _, err := openKilled(ctx, dir, server)
	if err != nil {
		return err
	}
	for {
		for _, root := range killedRoots {
			fmt.Println("installing", root)
			if _, err := r.Install(ctx, root, nil); err != nil {
				return err
			}
			fmt.Println("installed", root)
		}
		records, err := r.Packages(ctx)
		if err != nil {
			return err
		}
		fmt.Println("removing all")
		for i := range records { // roots first: they are later in the alphabet than what they need
			if err := r.Remove(ctx, records[len(records)-1-i].ID, func(name.ID) []string { return nil }); err != nil {
				return err
			}
		}
	}
}

// TestKill kills a process that installs: whatever is there is whole, what was
// acknowledged is there, and what nobody needs is swept away.
func TestKill(t *testing.T) {
	rounds := 25
	if testing.Short() {
		rounds = 10
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.publish("baz.example/baz@v2.1.0")
	w.publish("baz.example/baz@v2.5.1")
	w.publish("foobar.example/foobar@v3.5.0", "baz.example/baz@v2.1.0")
	w.publish("frundle.example/frundle@v0.5.0", "baz.example/baz@v2.5.0")
	dir := t.TempDir()
	between := 0
	for round := range rounds {
		said := killed(t, dir, w.server.URL, time.Duration(random.IntN(120))*time.Millisecond)
		if checkKilled(t, dir, w.server.URL, said) {
			between++
		}
		if t.Failed() {
			t.Fatalf("in round %d, after %v", round, said)
		}
	}
	t.Logf("%d of %d rounds ended between nothing and everything", between, rounds)
}

// killed runs a child for some time after it began, and returns its last words.
func killed(t *testing.T, dir, server string, after time.Duration) []string {
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), killedDir+"="+dir, killedServer+"="+server)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if said == nil {
			time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
		if said = append(said, lines.Text()); strings.HasPrefix(lines.Text(), "error") {
			t.Fatal(lines.Text())
		}
	}
	_ = child.Wait() // it was killed
	return said[max(0, len(said)-3):]
}

// checkKilled looks at what a killed child left. It reports whether that is
// more than nothing and less than everything.
func checkKilled(t *testing.T, dir, server string, said []string) bool {
	r, s, err := openKilled(t.Context(), dir, server)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := r.Collect(t.Context()); err != nil {
		t.Fatal(err)
	}
	records, err := r.Packages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	removing := len(said) > 0 && said[len(said)-1] == "removing all"
	there := map[string]bool{}
	needed := map[string]bool{}
	for _, rec := range records {
		there[rec.ID.Package] = true
		needed[rec.Blob.String()] = true
		if _, blob, err := r.Open(t.Context(), rec.ID); err != nil {
			t.Errorf("%s cannot be opened: %v", rec.ID, err)
		} else if err := blob.Close(); err != nil {
			t.Error(err)
		}
		// Removal goes one by one, roots first; an install is all or nothing.
		if _, err := r.Lock(t.Context(), rec.ID, nil); err != nil {
			t.Errorf("%s is half installed: %v", rec.ID, err)
		}
	}
	for _, root := range killedRoots {
		acknowledged := false
		for _, line := range said {
			acknowledged = (acknowledged || line == "installed "+root) && line != "removing all"
		}
		if acknowledged && !there[root] {
			t.Errorf("%s was installed and is not there", root)
		}
	}
	if err := r.list(t.Context(), refIndex, func(ref store.Ref) error {
		var snap snapshot
		_, err := r.get(t.Context(), ref.Name, &snap)
		needed[snap.Blob.String()] = true
		return err
	}); err != nil {
		t.Error(err)
	}
	for hash, err := range s.ListBlobs(t.Context()) {
		if err != nil {
			t.Error(err)
		} else if !needed[hash.String()] {
			t.Errorf("left behind: blob %s", hash)
		}
	}
	for damage := range s.Check(t.Context()) {
		t.Errorf("%s: %v", damage.Subject, damage.Err)
	}
	return !removing && len(there) > 0 && len(records) < 4
}
