package bolt

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-host/berth/registry/store"
)

// killedDir tells a child of this test binary which folder to write to.
const killedDir = "BERTH_TEST_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

const (
	killedWriters = 4
	countersEach  = 3  // references of one writer, which always move together
	keptBlobs     = 10 // of one writer; older ones are deleted
)

// writeUntilKilled has each writer count: it stores a blob of its number, puts
// the number under a key, and moves its references to it all at once. Each is
// printed when it was acknowledged.
func writeUntilKilled(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	acknowledge := func(kind string, w, i int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(kind, w, i)
	}
	failed := make(chan error)
	for w := range killedWriters {
		go func() { failed <- countUp(s, w, acknowledge) }()
	}
	return <-failed
}

func countUp(s *Store, w int, acknowledge func(kind string, w, i int)) error {
	ctx := context.Background()
	var at uint64
	start := 0
	switch ref, err := s.Ref(ctx, counterName(w, 0)); {
	case err == nil:
		at, start = ref.Revision, int(binary.BigEndian.Uint64(ref.Value))
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	for i := start + 1; ; i++ {
		content := numbered(w, i)
		if _, _, err := s.PutBlob(ctx, bytes.NewReader(content)); err != nil {
			return err
		}
		acknowledge("blob", w, i)
		if err := s.DeleteBlob(ctx, store.Sum(numbered(w, i-keptBlobs))); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if _, err := s.Data().Put(ctx, "killed", fmt.Sprint(w), content, store.AnyRevision); err != nil {
			return err
		}
		acknowledge("data", w, i)
		var changes []store.RefChange
		for c := range countersEach {
			changes = append(changes, store.RefChange{Name: counterName(w, c), Want: at, Value: content})
		}
		var err error
		if at, err = s.SwapRefs(ctx, changes...); err != nil {
			return err
		}
		acknowledge("refs", w, i)
	}
}

func counterName(w, c int) string { return fmt.Sprintf("counter/%d/%d", w, c) }

// numbered is what a writer stores as its number i. Its size varies around
// that of a page.
func numbered(w, i int) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(i))
	b = binary.BigEndian.AppendUint64(b, uint64(w))
	return append(b, bytes.Repeat([]byte{byte(i)}, max(0, i)*37%5000)...)
}

// TestKill kills a writing process over and over, in the same folder: nothing
// that it had acknowledged may be missing, and nothing half there.
func TestKill(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	acknowledged := map[string]int{} // the highest number by "kind writer"
	total := 0
	for round := range rounds {
		total += writeAndKill(t, dir, time.Duration(random.IntN(80))*time.Millisecond, acknowledged)
		inspect(t, dir, acknowledged)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d kills, %d acknowledged writes", rounds, total)
	if total < rounds*3 {
		t.Errorf("only %d writes were acknowledged in %d rounds: the test shows little", total, rounds)
	}
}

// writeAndKill lets a child write until its first acknowledgement and a while
// longer, and notes what it acknowledged.
func writeAndKill(t *testing.T, dir string, while time.Duration, acknowledged map[string]int) (n int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), killedDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { child.Process.Kill() })
	defer timer.Stop()
	for lines := bufio.NewReader(out); ; n++ {
		line, err := lines.ReadString('\n') // without an end, it was not acknowledged
		if err != nil {
			break
		}
		words := strings.Fields(line)
		i, err := strconv.Atoi(words[len(words)-1])
		if err != nil || words[0] == "error" {
			t.Fatalf("the child says %q", line)
		}
		acknowledged[words[0]+" "+words[1]] = i
		if n == 0 {
			timer.Reset(while)
		}
	}
	child.Wait() // killed
	return n
}

// inspect opens the folder and looks for everything that was acknowledged.
func inspect(t *testing.T, dir string, acknowledged map[string]int) {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	ctx := t.Context()
	for w := range killedWriters {
		last := acknowledged[fmt.Sprint("blob ", w)]
		for i := max(1, last-keptBlobs+2); i <= last; i++ { // the next may have been deleting
			if _, err := s.Blob(ctx, store.Sum(numbered(w, i))); err != nil {
				t.Errorf("writer %d, blob %d: %v", w, i, err)
			}
		}
		e, err := s.Data().Get(ctx, "killed", fmt.Sprint(w))
		checkNumber(t, "data", w, e.Value, err, acknowledged)
		var first []byte
		for c := range countersEach {
			ref, err := s.Ref(ctx, counterName(w, c))
			if c == 0 {
				first = ref.Value
				checkNumber(t, "refs", w, ref.Value, err, acknowledged)
			} else if !bytes.Equal(ref.Value, first) {
				t.Errorf("writer %d: its references moved apart", w)
			}
		}
	}
	for d := range s.Check(ctx) {
		t.Errorf("check: %s: %v", d.Subject, d.Err)
	}
}

// checkNumber checks that what is stored is whole, and as new as what was
// acknowledged, or newer by the one write that was under way. What was found
// must be found from then on.
func checkNumber(t *testing.T, kind string, w int, value []byte, err error, acknowledged map[string]int) {
	t.Helper()
	name := fmt.Sprintf("%s %d", kind, w)
	last := acknowledged[name]
	if errors.Is(err, store.ErrNotFound) && last == 0 {
		return
	}
	if err != nil || len(value) < 16 {
		t.Errorf("writer %d, %s: %d bytes, %v; %d was acknowledged", w, kind, len(value), err, last)
		return
	}
	i := int(binary.BigEndian.Uint64(value))
	if !bytes.Equal(value, numbered(w, i)) || i < last || i > last+1 {
		t.Errorf("writer %d, %s: found number %d; %d was acknowledged", w, kind, i, last)
	}
	acknowledged[name] = i
}
