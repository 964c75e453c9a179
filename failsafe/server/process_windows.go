package server

import "os/exec"

// ownProcess does nothing: a helper that is cancelled is killed alone.
func ownProcess(*exec.Cmd) {}

func runLocked(cmd *exec.Cmd) error { return cmd.Run() }
