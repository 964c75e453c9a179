//go:build unix

package server

import (
	"os/exec"
	"syscall"
)

// ownProcess puts a helper into a process group of its own, and ends the whole
// group when its context ends: a helper has helpers, such as the compiler.
func ownProcess(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
