//go:build unix

package repair

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// reserved is address space that the Go runtime and the store set aside
// without using it, in bytes.
const reserved = 3 << 30

// limitMemory bounds the address space of this process: what it may use, and
// the database, which is mapped. The limit is a soft one, so that a compiler
// that this process starts can choose its own.
func limitMemory(folder string, memory int64) error {
	total := uint64(memory) + reserved
	if info, err := os.Stat(filepath.Join(folder, "registry.db")); err == nil {
		total += 3 * uint64(info.Size()) // as it is, as it grows, and a second one
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	if limit.Cur = min(total, limit.Max); limit.Cur == 0 {
		return nil
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &limit); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return nil
}
