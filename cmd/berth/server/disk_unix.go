//go:build linux || darwin

package server

import "syscall"

// readOnlyFlag is that of a file system mounted for reading only: ST_RDONLY of
// statvfs(3), MNT_RDONLY of statfs(2).
const readOnlyFlag = 1

// diskOf looks at the disk of a folder: free is in bytes, for this user.
func diskOf(folder string) (free uint64, readOnly bool, err error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return 0, false, err
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), uint64(stat.Flags)&readOnlyFlag != 0, nil
}
