//go:build linux || darwin || freebsd

package server

import "syscall"

// diskFree returns how many bytes this user may still write where a folder is.
func diskFree(path string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}
