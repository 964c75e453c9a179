//go:build unix

package protocol

import (
	"os"
	"syscall"
)

// attach gives files to a process and returns the numbers that they have there.
func attach(attr *os.ProcAttr, files []*os.File) ([]uintptr, error) {
	numbers := make([]uintptr, len(files))
	for i, f := range files {
		numbers[i] = uintptr(len(attr.Files))
		attr.Files = append(attr.Files, f)
	}
	return numbers, nil
}

// adopt returns an inherited file, which children of this process do not get.
func adopt(fd uintptr, name string) *os.File {
	syscall.CloseOnExec(int(fd))
	if name == "orders" || name == "control" {
		// So that the runtime's poller waits instead of a thread. The crash
		// file must block: the dying runtime does not try again.
		_ = syscall.SetNonblock(int(fd), true)
	}
	var stat syscall.Stat_t
	if syscall.Fstat(int(fd), &stat) != nil {
		return nil
	}
	return os.NewFile(fd, name)
}
