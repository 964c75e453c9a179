//go:build linux || darwin

package engine

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// limitSelf bounds this process before it looks at anything hostile.
func limitSelf(l childLimits) error {
	// Serving goes before compiling, in time and in memory. Where a system
	// refuses or knows nothing of it, nothing is lost.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)

	seconds := uint64((l.CPU + time.Second - 1) / time.Second)
	for _, limit := range []struct {
		what     string
		resource int
		value    uint64
	}{
		{"address space", unix.RLIMIT_AS, l.Memory},
		{"processor time", unix.RLIMIT_CPU, seconds},
		{"size of files", unix.RLIMIT_FSIZE, l.File},
	} {
		if limit.value == 0 {
			continue
		}
		rlimit := unix.Rlimit{Cur: limit.value, Max: limit.value}
		if limit.resource == unix.RLIMIT_CPU {
			rlimit.Max++ // at the lower one the process can still say why it ends, at the upper one it is killed
		}
		if err := unix.Setrlimit(limit.resource, &rlimit); err != nil {
			return fmt.Errorf("limiting the %s to %d: %w", limit.what, limit.value, err)
		}
	}
	return nil
}
