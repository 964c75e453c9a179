package server

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/berth-host/berth/failsafe/smallfile"
)

// lowDisk is below which free space is said to be the likely cause, in bytes.
const lowDisk = 64 << 20

// A machine is what the page shows of it, in words.
type machine struct {
	Disk, Memory string
	LowDisk      bool
}

// machine looks at the machine, but not longer than patience.
func (s *Server) machine() machine {
	done := make(chan machine, 1)
	go func() {
		m := machine{Disk: "not known", Memory: "not known"}
		// A data folder that is not there yet will be on the disk of the one above.
		for dir, n := s.config.Data, 0; n < 10; dir, n = filepath.Dir(dir), n+1 {
			if free, ok := diskFree(dir); ok {
				m.Disk, m.LowDisk = size(free), free < lowDisk
				break
			}
		}
		if data, err := smallfile.Read("/proc/meminfo", 64<<10); err == nil {
			if free, ok := memAvailable(string(data)); ok {
				m.Memory = size(free)
			}
		}
		done <- m
	}()
	select {
	case m := <-done:
		return m
	case <-time.After(patience):
		return machine{Disk: "the disk does not answer", Memory: "not known"}
	}
}

func memAvailable(meminfo string) (uint64, bool) {
	for line := range strings.Lines(meminfo) {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 50)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// size writes bytes for people: 1.5 GiB.
func size(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1000 && unit < 4 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.3g %s", value, [...]string{"KiB", "MiB", "GiB", "TiB", "PiB"}[unit])
}

// inWords writes a duration for people: 3 minutes.
func inWords(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int64((d + u.unit/2) / u.unit); d >= u.unit {
			if n == 1 {
				return "1 " + u.name
			}
			return fmt.Sprintf("%d %ss", n, u.name)
		}
	}
	return "less than a second"
}
