package workshop

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/store/bolt"
)

// envWriter makes the test binary the process that is killed. Its value is the
// folder of the store.
const envWriter = "BERTH_TEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envWriter); dir != "" {
		if err := writeForever(dir, os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForever writes a file again and again, as an editor that saves by
// itself, and tells each acknowledged write. It ends by being killed.
func writeForever(dir, pkg, first string) error {
	ctx := context.Background()
	s, err := bolt.Open(dir)
	if err != nil {
		return err
	}
	r, err := registry.Open(ctx, s, prepareNothing)
	if err != nil {
		return err
	}
	w := New(s, r)
	_, f, err := w.Read(ctx, pkg, "notes.txt")
	if err != nil {
		return err
	}
	start, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	for i := start; ; i++ {
		if f, err = w.Write(ctx, pkg, "notes.txt", f.Hash.String(), fmt.Append(nil, i), who); err != nil {
			return err
		}
		fmt.Println(i)
		if i%10 == 9 {
			if _, err := w.Save(ctx, pkg, "", who, nil); err != nil {
				return err
			}
			if _, f, err = w.Read(ctx, pkg, "notes.txt"); err != nil {
				return err
			}
			if err := r.Collect(ctx); err != nil {
				return err
			}
		}
	}
}

// TestKill kills the process that writes, and asks that the draft holds the last
// acknowledged write, or the one after it, and that every saved version is whole.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	b := &bench{T: t}
	reopen := func() {
		s, err := bolt.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		b.store = s
		b.open()
	}
	reopen()
	b.install(original)
	pkg := b.make()
	for first, acknowledged := range map[int]int{100: 101, 200: 210, 300: 323} {
		if err := b.store.Close(); err != nil {
			t.Fatal(err)
		}
		last := killedAfter(t, dir, pkg, first, acknowledged)
		reopen()
		if err := b.registry.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		text, _ := b.read(pkg, "notes.txt")
		if n, err := strconv.Atoi(text); err != nil || n != last && n != last+1 {
			t.Errorf("the draft holds %q; write %d was acknowledged last", text, last)
		}
		saved, err := b.Versions(t.Context(), pkg)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range saved {
			if _, _, err := b.ReadAt(t.Context(), Ref{pkg, s.Version}, "notes.txt"); err != nil {
				t.Errorf("%s: %v", s.Version, err)
			}
		}
	}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
}

// killedAfter starts the writer, kills it once it has told of a write, and
// returns the last one that it told of.
func killedAfter(t *testing.T, dir, pkg string, first, acknowledged int) (last int) {
	t.Helper()
	writer := exec.Command(os.Args[0], pkg, strconv.Itoa(first))
	writer.Env, writer.Stderr = append(os.Environ(), envWriter+"="+dir), os.Stderr
	stdout, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	last = -1
	for lines.Scan() {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if last >= acknowledged {
			_ = writer.Process.Kill() // what it told before is still read
		}
	}
	_ = writer.Wait() // it was killed
	if last < acknowledged {
		t.Fatal("the writer ended by itself")
	}
	return last
}
