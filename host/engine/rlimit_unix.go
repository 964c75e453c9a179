//go:build linux || darwin || freebsd

package engine

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// limitSelf bounds this process before it looks at anything hostile.
func limitSelf(l childLimits) error {
	set := func(name string, resource int, value uint64) error {
		if value == 0 {
			return nil
		}
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limiting the %s to %d: %w", name, value, err)
		}
		return nil
	}
	// Serving goes before compiling. Where it is refused, nothing is lost.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 10)
	if err := set("address space", unix.RLIMIT_AS, l.Memory); err != nil {
		return err
	}
	if err := set("processor time", unix.RLIMIT_CPU, uint64((l.CPU+time.Second-1)/time.Second)); err != nil {
		return err
	}
	return set("file size", unix.RLIMIT_FSIZE, l.File)
}
