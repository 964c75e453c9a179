//go:build linux || darwin || freebsd

package repair

import "syscall"

// diskFree returns how many bytes this user may still write where a folder is.
func diskFree(path string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}
