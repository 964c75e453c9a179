package protocol

import (
	"fmt"
	"os"
	"syscall"
)

// pipes is how many of the files are handed down: the listeners are not, as
// Windows sockets don't travel as handles do. The child binds them.
const pipes = 3

// attach gives files to a process and returns the handles that they have there.
func attach(attr *os.ProcAttr, files []*os.File) ([]uintptr, error) {
	if attr.Sys == nil {
		attr.Sys = &syscall.SysProcAttr{}
	}
	numbers := make([]uintptr, pipes)
	for i, f := range files[:pipes] {
		handle := syscall.Handle(f.Fd())
		if err := syscall.SetHandleInformation(handle, syscall.HANDLE_FLAG_INHERIT, syscall.HANDLE_FLAG_INHERIT); err != nil {
			return nil, fmt.Errorf("handing down %s: %w", f.Name(), err)
		}
		attr.Sys.AdditionalInheritedHandles = append(attr.Sys.AdditionalInheritedHandles, handle)
		numbers[i] = uintptr(handle)
	}
	return numbers, nil
}

// adopt returns an inherited file, which children of this process do not get.
func adopt(handle uintptr, name string) *os.File {
	if syscall.SetHandleInformation(syscall.Handle(handle), syscall.HANDLE_FLAG_INHERIT, 0) != nil {
		return nil
	}
	return os.NewFile(handle, name)
}
