package engine

import "golang.org/x/sys/unix"

// clean makes memory zero again, and reports whether it has. Linux promises
// that of private pages that were dropped; other systems do not.
func clean(usable []byte) bool {
	return len(usable) == 0 || unix.Madvise(usable, unix.MADV_DONTNEED) == nil
}
