package password

import (
	"strconv"
	"strings"

	"github.com/berth-host/berth/failsafe/smallfile"
)

// machineMemory returns how many bytes of memory this process may have at
// most, by the machine and by its control group. Where it can't be told, known
// is false.
func machineMemory() (total uint64, known bool) {
	if text, ok := pseudoFile("/proc/meminfo"); ok {
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				if kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 50); err == nil {
					total, known = kib<<10, true
				}
			}
		}
	}
	// Control groups of version 2 and 1. "max", or none, bounds nothing.
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, _ := pseudoFile(file)
		if limit, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63); err == nil && (!known || limit < total) {
			total, known = limit, true
		}
	}
	return total, known
}

func pseudoFile(path string) (string, bool) {
	data, err := smallfile.Read(path, 64<<10)
	return string(data), err == nil
}
