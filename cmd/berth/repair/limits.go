package repair

import (
	"os"
	"runtime/debug"
	"time"

	"github.com/berth-host/berth/failsafe/helper"
)

// overtime is how long a helper may take to end once its time is over.
const overtime = 5 * time.Second

// Limit bounds this process, which does one repair and ends.
func (d *Data) Limit(l helper.Limits) error {
	if l.Time > 0 {
		time.AfterFunc(l.Time+overtime, func() { os.Exit(helper.ExitFailed) })
	}
	if l.Memory <= 0 {
		return nil
	}
	debug.SetMemoryLimit(l.Memory)
	return limitMemory(d.Folder, l.Memory)
}
