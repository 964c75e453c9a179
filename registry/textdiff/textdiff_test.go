package textdiff

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	long := ""
	for i := range 40 {
		long += fmt.Sprintf("line %d\n", i)
	}
	tests := []struct{ name, from, to, want string }{
		{"equal", "a\nb\n", "a\nb\n", ""},
		{"from nothing", "", "a\n", "@@ -0,0 +1 @@\n+a\n"},
		{"to nothing", "a\n", "", "@@ -1 +0,0 @@\n-a\n"},
		{"a line end goes", "a\nb\n", "a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n"},
		{"far apart", long, strings.NewReplacer("line 2\n", "line two\n", "line 30\n", "").Replace(long),
			"@@ -1,6 +1,6 @@\n line 0\n line 1\n-line 2\n+line two\n line 3\n line 4\n line 5\n" +
				"@@ -28,7 +28,6 @@\n line 27\n line 28\n line 29\n-line 30\n line 31\n line 32\n line 33\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Unified(Hunks(tt.from, tt.to)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// TestManyChanges holds comparing to precision where a bounded search alone
// would give up: 400 changed lines among 4,000.
func TestManyChanges(t *testing.T) {
	var a, b []string
	for i := range 4000 {
		a = append(a, fmt.Sprintf("line %d\n", i))
		if b = append(b, a[i]); i%10 == 0 {
			b[i] = "changed\n"
		}
	}
	if changes := Changes(a, b); len(changes) != 400 {
		t.Errorf("%d changes, want 400", len(changes))
	}
}

func TestMerge(t *testing.T) {
	const base = "one\ntwo\nthree\nfour\nfive\n"
	tests := []struct {
		name, base, mine, theirs string
		want                     string
		conflicts                int
	}{
		{"nobody changes", base, base, base, base, 0},
		{"far apart", base, "ONE\ntwo\nthree\nfour\nfive\n", "one\ntwo\nthree\nfour\nFIVE\n", "ONE\ntwo\nthree\nfour\nFIVE\n", 0},
		{"the same change", base, "one\n2\nthree\nfour\nfive\n", "one\n2\nthree\nfour\nfive\n", "one\n2\nthree\nfour\nfive\n", 0},
		{"one adds, one removes", base, "zero\none\ntwo\nthree\nfour\nfive\n", "one\ntwo\nthree\n", "zero\none\ntwo\nthree\n", 0},
		{"the same line", base, "one\nmine\nthree\nfour\nfive\n", "one\ntheirs\nthree\nfour\nfive\n",
			"one\n<<<<<<< me\nmine\n=======\ntheirs\n>>>>>>> you\nthree\nfour\nfive\n", 1},
		{"lines that touch", base, "one\nmine\nthree\nfour\nfive\n", "one\ntwo\ntheirs\nfour\nfive\n",
			"one\n<<<<<<< me\nmine\nthree\n=======\ntwo\ntheirs\n>>>>>>> you\nfour\nfive\n", 1},
		{"both add at one place", base, base + "mine\n", base + "theirs\n", base + "<<<<<<< me\nmine\n=======\ntheirs\n>>>>>>> you\n", 1},
		{"both add, and begin alike", base, base + "six\nmine\n", base + "six\ntheirs\n", base + "six\n<<<<<<< me\nmine\n=======\ntheirs\n>>>>>>> you\n", 1},
		{"no common base", "", "a\n", "b\n", "<<<<<<< me\na\n=======\nb\n>>>>>>> you\n", 1},
		{"last lines without an end", "a\nb", "a\nmine", "a\ntheirs", "a\n<<<<<<< me\nmine\n=======\ntheirs\n>>>>>>> you\n", 1},
		{"an end of a line comes, and a line", "a\nb", "a\nb\n", "z\na\nb", "z\na\nb\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, conflicts := Merge(tt.base, tt.mine, tt.theirs, "me", "you")
			if got != tt.want || conflicts != tt.conflicts {
				t.Errorf("%d conflicts in\n%s\nwant %d in\n%s", conflicts, got, tt.conflicts, tt.want)
			}
			if HasMarks(got) != (conflicts > 0) {
				t.Errorf("marks are seen: %v", HasMarks(got))
			}
		})
	}
}

// FuzzChanges asks that changes applied to a give b, and that patch agrees.
func FuzzChanges(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nc\nd")
	f.Add("", "x")
	f.Add("x\nx\ny\nx\n", "y\nx\nx\nx\n")
	f.Fuzz(func(t *testing.T, from, to string) {
		a, b := Lines(from), Lines(to)
		var built []string
		at := 0
		for _, c := range Changes(a, b) {
			if c.A0 < at || c.A0 == c.A1 && c.B0 == c.B1 {
				t.Fatalf("change %+v after line %d", c, at)
			}
			built = append(append(built, a[at:c.A0]...), b[c.B0:c.B1]...)
			at = c.A1
		}
		if built = append(built, a[at:]...); !slices.Equal(built, b) {
			t.Fatalf("the changes from %q give %q, want %q", from, built, to)
		}
		Unified(Hunks(from, to))
	})
}

// FuzzMerge holds merging to its laws: what one side left alone is the other's,
// and nothing that either side wrote is lost.
func FuzzMerge(f *testing.F) {
	f.Add("a\nb\nc\n", "a\nx\nc\n", "a\nb\ny\n")
	f.Add("", "a", "b")
	f.Fuzz(func(t *testing.T, base, mine, theirs string) {
		for _, law := range []struct{ base, mine, theirs, want string }{{base, mine, base, mine}, {base, base, theirs, theirs}, {base, mine, mine, mine}} {
			if got, conflicts := Merge(law.base, law.mine, law.theirs, "m", "t"); conflicts > 0 || got != law.want {
				t.Fatalf("merge of %q, %q and %q gives %q with %d conflicts", law.base, law.mine, law.theirs, got, conflicts)
			}
		}
		got, conflicts := Merge(base, mine, theirs, "m", "t")
		if conflicts > 0 && !HasMarks(got) {
			t.Fatalf("%d conflicts without marks in %q", conflicts, got)
		}
		written := Lines(got)
		for i := range written {
			written[i] = strings.TrimSuffix(written[i], "\n")
		}
		for _, side := range []string{mine, theirs} {
			a, b := Lines(base), Lines(side)
			for _, c := range Changes(a, b) {
				for _, line := range b[c.B0:c.B1] {
					if !slices.Contains(written, strings.TrimSuffix(line, "\n")) {
						t.Fatalf("%q is lost: %q, %q and %q give %q", line, base, mine, theirs, got)
					}
				}
			}
		}
	})
}

// TestPatchAgrees applies a unified diff with the tool that reads such diffs.
func TestPatchAgrees(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not here")
	}
	from, to := "a\nb\nc\nd\ne\nf\ng\nh\ni\nj", "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\n"
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	if err := os.WriteFile(file, []byte(from), 0o600); err != nil {
		t.Fatal(err)
	}
	apply := exec.Command("git", "apply", "-")
	apply.Dir, apply.Stdin = dir, strings.NewReader("--- a/x\n+++ b/x\n"+Unified(Hunks(from, to)))
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("git apply: %v\n%s", err, out)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != to {
		t.Errorf("git apply gives %q, %v; want %q", got, err, to)
	}
}
