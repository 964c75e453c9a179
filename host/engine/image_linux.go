package engine

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var systemPage = os.Getpagesize()

// newContents puts a copy of memory into a sealed file in memory.
func newContents(memory []byte) (_ contents, err error) {
	c := contents{size: len(memory), zero: zeroPages(memory), file: -1}
	filled := c.filled()
	if filled == 0 {
		return c, nil
	}
	if c.file, err = unix.MemfdCreate("berth-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING); err != nil {
		return c, err
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err := unix.Ftruncate(c.file, int64(filled)); err != nil {
		return c, err
	}
	for i, zero := range c.zero {
		if zero {
			continue // stays a hole
		}
		if _, err := unix.Pwrite(c.file, memory[i*systemPage:(i+1)*systemPage], int64(i*systemPage)); err != nil {
			return c, err
		}
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(c.file), unix.F_ADD_SEALS, seals); err != nil {
		return c, err
	}
	// Private, because Linux before 6.7 maps no sealed file in another way.
	c.bytes, err = unix.Mmap(c.file, 0, filled, unix.PROT_READ, unix.MAP_PRIVATE)
	return c, err
}

// close gives the copy back. Memory that is mapped from it stays as it is.
func (c *contents) close() {
	if c.bytes != nil {
		_ = unix.Munmap(c.bytes) // fails only for what is no mapping
	}
	if c.file >= 0 {
		_ = unix.Close(c.file) // nothing was written that could be lost
	}
}

// mapOver makes the beginning of a usable region a private view of the image:
// pages take no memory of their own before they are written to. Behind the last
// byte that is not zero it stays what it was, without its content: holes of a
// file would take memory as soon as they are read.
func (c *contents) mapOver(region []byte) error {
	if filled := len(c.bytes); filled > 0 {
		start := unsafe.Pointer(unsafe.SliceData(region))
		_, err := unix.MmapPtr(c.file, 0, start, uintptr(filled), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED|unix.MAP_NORESERVE)
		if err != nil {
			return err
		}
	}
	return drop(region[len(c.bytes):c.size])
}

// drop lets the system forget what was written to memory: what shows is the
// image again, or zeros where there is none.
func drop(memory []byte) error {
	if len(memory) == 0 {
		return nil
	}
	return unix.Madvise(memory, unix.MADV_DONTNEED)
}

// scanArguments is struct pm_scan_arg of <linux/fs.h>.
type scanArguments struct {
	size, flags, start, end, walkEnd                          uint64
	vec, vecLen, maxPages                                     uint64
	categoryInverted, categoryMask, categoryAnyMask, returned uint64
}

// pageRange is struct page_region of <linux/fs.h>.
type pageRange struct{ start, end, _ uint64 }

// Of <linux/fs.h>.
const (
	pagemapScan    = 0xc0606610 // _IOWR('f', 16, struct pm_scan_arg)
	pageIsFile     = 1 << 2
	pageIsPresent  = 1 << 3
	pageIsSwapped  = 1 << 4
	pageIsZeroPage = 1 << 5
)

// A scan is the memory of one PAGEMAP_SCAN, which the system reads and writes
// at addresses that must not move.
type scan struct {
	arguments scanArguments
	ranges    [32]pageRange
}

var scans = sync.Pool{New: func() any { return new(scan) }}

// dirtyRanges calls f with the page numbers of memory that have been written
// to since it was mapped from a file. These are pages that belong to no file
// any more, whether they are present or swapped out.
func dirtyRanges(pagemap *os.File, memory []byte, f func(first, last int)) error {
	s := scans.Get().(*scan)
	defer scans.Put(s)
	start := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	a := &s.arguments
	*a = scanArguments{
		size: uint64(unsafe.Sizeof(*a)), start: start, end: start + uint64(len(memory)),
		vec: uint64(uintptr(unsafe.Pointer(&s.ranges))), vecLen: uint64(len(s.ranges)),
		categoryInverted: pageIsFile | pageIsZeroPage,
		categoryMask:     pageIsFile | pageIsZeroPage,
		categoryAnyMask:  pageIsPresent | pageIsSwapped,
		returned:         pageIsFile,
	}
	page := uint64(systemPage)
	for a.start < a.end {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(a)))
		if errno != 0 {
			return fmt.Errorf("PAGEMAP_SCAN: %w", errno)
		}
		for _, r := range s.ranges[:n] {
			f(int((r.start-start)/page), int((r.end-start)/page))
		}
		if a.walkEnd <= a.start {
			return errors.New("PAGEMAP_SCAN: it does not get on")
		}
		a.start = a.walkEnd
	}
	return nil
}

func (c *contents) restoreDirty(pagemap *os.File, memory []byte) error {
	if len(memory) == 0 {
		return nil
	}
	dirty := 0
	err := dirtyRanges(pagemap, memory, func(first, last int) {
		if dirty += (last - first) * systemPage; dirty <= maxDirty {
			c.copyPages(memory, first, last)
		}
	})
	if err == nil && dirty > maxDirty {
		return drop(memory)
	}
	return err
}

// bestRestoring finds out what this system can do, by trying it.
func bestRestoring() (restoring, *os.File) {
	pagemap, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return restoreDropped, nil
	}
	if err := tryDirty(pagemap); err != nil {
		_ = pagemap.Close() // only read
		return restoreDropped, nil
	}
	return restoreDirty, pagemap
}

// tryDirty writes to pages of an image, and behind it, and sees whether the
// system tells.
func tryDirty(pagemap *os.File) error {
	const pages = 8
	memory := make([]byte, pages*systemPage)
	memory[2*systemPage], memory[5*systemPage] = 1, 1
	c, err := newContents(memory)
	if err != nil {
		return err
	}
	defer c.close()
	view, err := unix.Mmap(-1, 0, c.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(view)
	if err := c.mapOver(view); err != nil {
		return err
	}
	if view[2*systemPage] != 1 || view[3*systemPage] != 0 || view[7*systemPage] != 0 { // all are present now, but not dirty
		return errors.New("the image does not show")
	}
	view[4*systemPage], view[5*systemPage], view[6*systemPage] = 1, 1, 1
	found := ""
	err = dirtyRanges(pagemap, view, func(first, last int) { found += fmt.Sprint(first, "-", last, " ") })
	if err == nil && found != "4-7 " {
		err = fmt.Errorf("pages %sinstead of 4-7 are said to be dirty", found)
	}
	return err
}
