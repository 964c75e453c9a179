package textdiff

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestHostileTexts compares texts that are made to take long: half a million
// lines without any that occurs once.
func TestHostileTexts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for b.Len() < MaxText-2 {
			b.WriteString([]string{"a\n", "b\n", "\n"}[r.IntN(3)])
		}
		return b.String()
	}
	base, mine, theirs := text(), text(), text()
	start := time.Now()
	hunks := Hunks(base, mine)
	merged, conflicts := Merge(base, mine, theirs, "mine", "theirs")
	if took := time.Since(start); took > 20*time.Second || len(hunks) == 0 || conflicts == 0 || len(merged) == 0 {
		t.Errorf("%d hunks and %d conflicts in %v", len(hunks), conflicts, took)
	}
	t.Log(time.Since(start))
}
