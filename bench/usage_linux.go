package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// ticks is how often the kernel counts processor time, in a second (USER_HZ).
const ticks = 100

// cpuTime is the processor time that the process has used, to 10 ms.
func (p *process) cpuTime() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The name of the program, in parentheses, may hold spaces (proc(5)).
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var sum time.Duration
	for _, at := range []int{11, 12} { // utime and stime
		n, err := strconv.Atoi(string(fields[at]))
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * time.Second / ticks
	}
	return sum, nil
}

// resident is how much memory the process occupies, in bytes: what it shares,
// with itself too, counts once. statm would count a page of an image again for
// each instance that looks at it.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, pss, _ := bytes.Cut(text, []byte("\nPss:"))
	fields := bytes.Fields(pss)
	if len(fields) == 0 {
		return 0, errors.New("the system does not say how much memory a process occupies")
	}
	kib, err := strconv.Atoi(string(fields[0]))
	return float64(kib) * 1024, err
}
