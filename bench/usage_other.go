//go:build !linux

package main

import (
	"errors"
	"time"
)

var errNoUsage = errors.New("the use of a process is read on Linux only")

func (p *process) cpuTime() (time.Duration, error) { return 0, errNoUsage }

func (p *process) resident() (float64, error) { return 0, errNoUsage }
