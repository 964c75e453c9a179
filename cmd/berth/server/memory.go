package server

import (
	"log/slog"
	"math"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// A memoryPlan shares out the memory that the server may use. All are bytes; 0
// leaves it to the engine's defaults.
type memoryPlan struct {
	source string // who sets the limit
	total  int64
	heap   int64 // of the server itself, a soft limit
	guests int64 // instances of modules
	code   int64 // compiled modules
}

// Parts of the memory, in percent. What is missing to the whole is for the
// pages of files, and for what a limit of the system counts that nobody plans.
const (
	heapPart   = 35
	guestsPart = 40
	codePart   = 15
)

// planMemory finds the limit of the control group (version 1 or 2), or the
// memory of the machine. The collector's limit is set unless GOMEMLIMIT does.
func planMemory(log *slog.Logger) memoryPlan {
	p := memoryPlan{source: "control group"}
	limit, err := memlimit.FromCgroup()
	if machine, machineErr := memlimit.FromSystem(); machineErr == nil && (err != nil || machine < limit) {
		p.source, limit, err = "machine", machine, nil
	}
	if err != nil || limit == 0 || limit > math.MaxInt64 {
		log.Warn("the memory limit of this system is not known; set GOMEMLIMIT", "error", err)
		return memoryPlan{source: "unknown"}
	}
	p.share(int64(limit))
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(p.heap)
	} else {
		p.heap = debug.SetMemoryLimit(-1)
	}
	const mib = 1 << 20
	log.Info("resources", "processors", runtime.GOMAXPROCS(0), "memory limit of", p.source, "MiB", p.total/mib,
		"heap MiB", p.heap/mib, "modules MiB", p.guests/mib, "compiled code MiB", p.code/mib)
	return p
}

func (p *memoryPlan) share(total int64) {
	p.total = total
	part := func(percent int64) int64 { return total / 100 * percent }
	p.heap, p.guests, p.code = part(heapPart), part(guestsPart), part(codePart)
}
