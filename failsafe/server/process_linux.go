package server

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent lets a helper end with the failsafe server, so that none holds
// the store when the next server starts.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// runLocked runs a command on a thread that lasts as long: for the system, the
// parent of a process is the thread that started it.
func runLocked(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
