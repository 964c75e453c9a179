package bolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/berth-host/berth/registry/store"
)

// bbolt believes what its file says: a page that names itself as its child
// sends it into endless recursion, which no recover can stop. So the structure
// is checked here first, without mapping the file. The layout is that of
// bbolt's file version 2, in the byte order of the machine:
//
//	page            id 8, flags 2, count 2, overflow 4, then count elements
//	meta page       magic 4, version 4, page size 4, flags 4, root 8, sequence 8,
//	                freelist 8, high water mark 8, transaction 8, FNV-1a 8
//	branch element  offset of the key 4, its size 4, child 8
//	leaf element    flags 4, offset of the key 4, its size 4, size of the value 4
//	bucket value    root 8 (0: a page follows inline), sequence 8
//
// Offsets count from the element. A page with overflow n takes n more pages.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	branchFlag   = 0x01
	leafFlag     = 0x02
	freelistFlag = 0x10
	bucketFlag   = 0x01 // of a leaf element

	pageHead     = 16
	elementSize  = 16
	bucketHead   = 16
	metaSize     = 64
	minPageSize  = 1 << 10
	maxPageSize  = 1 << 24
	maxDepth     = 64 // of pages within a bucket; bbolt's trees are far flatter
	maxNesting   = 2  // of buckets: data, namespace
	manyFreeIDs  = 0xFFFF
	reservedMeta = 2 // pages 0 and 1
)

var order = binary.NativeEndian

func damage(format string, args ...any) error {
	return fmt.Errorf("%w: %s", store.ErrCorrupt, fmt.Sprintf(format, args...))
}

// checkDatabase checks the structure of a database file that nobody writes to.
func checkDatabase(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return checkFile(f, info.Size())
}

func checkFile(r io.ReaderAt, size int64) error {
	m, err := readMeta(r, size)
	if err != nil {
		return err
	}
	t := newTree(r, m.pageSize, m.high)
	free, err := t.freelist(m.freelist)
	if err != nil {
		return err
	}
	if err := t.page(m.root, bounds{}, 0, 0); err != nil {
		return err
	}
	for _, id := range free {
		if err := t.visit(id, 0); err != nil {
			return err
		}
	}
	return nil
}

// A meta is what the newest good meta page says.
type meta struct {
	pageSize, root, freelist, high, transaction uint64
}

// readMeta chooses the meta page as bbolt does: the newest good one.
func readMeta(r io.ReaderAt, size int64) (meta, error) {
	var best meta
	for _, at := range metaOffsets(r, size) {
		m, err := parseMeta(r, at)
		if err == nil && (best.pageSize == 0 || m.transaction > best.transaction) {
			best = m
		}
	}
	switch {
	case best.pageSize == 0:
		return meta{}, damage("it is no database, or both of its first pages are damaged")
	case best.pageSize < minPageSize || best.pageSize > maxPageSize || best.pageSize&(best.pageSize-1) != 0:
		return meta{}, damage("pages of %d bytes", best.pageSize)
	case best.high > uint64(size)/best.pageSize:
		return meta{}, damage("it was cut short: %d pages of %d bytes do not fit in %d bytes", best.high, best.pageSize, size)
	}
	return best, nil
}

// metaOffsets returns where meta pages can be. That of the second depends on
// the page size, which only the meta pages tell: all sizes are tried.
func metaOffsets(r io.ReaderAt, size int64) []int64 {
	if m, err := parseMeta(r, 0); err == nil {
		return []int64{0, int64(min(m.pageSize, maxPageSize))}
	}
	var offsets []int64
	for at := int64(minPageSize); at <= maxPageSize && at < size; at *= 2 {
		offsets = append(offsets, at)
	}
	return offsets
}

func parseMeta(r io.ReaderAt, at int64) (meta, error) {
	b := make([]byte, metaSize)
	if _, err := r.ReadAt(b, at+pageHead); err != nil {
		return meta{}, err
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if order.Uint32(b) != boltMagic || order.Uint32(b[4:]) != boltVersion || order.Uint64(b[metaSize-8:]) != sum.Sum64() {
		return meta{}, store.ErrCorrupt
	}
	return meta{
		pageSize:    uint64(order.Uint32(b[8:])),
		root:        order.Uint64(b[16:]),
		freelist:    order.Uint64(b[32:]),
		high:        order.Uint64(b[40:]),
		transaction: order.Uint64(b[48:]),
	}, nil
}

// A tree walks over pages and remembers which it has seen.
type tree struct {
	r        io.ReaderAt
	pageSize uint64
	high     uint64 // pages from here on are not in use
	seen     []uint64
}

func newTree(r io.ReaderAt, pageSize, high uint64) *tree {
	return &tree{r: r, pageSize: pageSize, high: high, seen: make([]uint64, high/64+1)}
}

// visit marks a page and its overflow; each may be in use once.
func (t *tree) visit(id, overflow uint64) error {
	if id < reservedMeta || id >= t.high || overflow >= t.high-id {
		return damage("page %d (and %d more) is outside of the %d in use", id, overflow, t.high)
	}
	for ; ; id, overflow = id+1, overflow-1 {
		bit := uint64(1) << (id % 64)
		if t.seen[id/64]&bit != 0 {
			return damage("page %d is in use twice", id)
		}
		t.seen[id/64] |= bit
		if overflow == 0 {
			return nil
		}
	}
}

// freelist returns the free pages.
func (t *tree) freelist(id uint64) ([]uint64, error) {
	p, err := t.open(id)
	if err != nil {
		return nil, err
	}
	if p.flags != freelistFlag {
		return nil, damage("page %d is no freelist", id)
	}
	at, count := uint64(pageHead), uint64(p.count)
	if count == manyFreeIDs {
		b, err := p.slice(at, 8)
		if err != nil {
			return nil, err
		}
		at, count = at+8, order.Uint64(b)
	}
	if count > p.size/8 {
		return nil, damage("the freelist is longer than its page")
	}
	b, err := p.slice(at, count*8)
	if err != nil {
		return nil, err
	}
	ids := make([]uint64, count)
	for i := range ids {
		ids[i] = order.Uint64(b[i*8:])
		if i > 0 && ids[i] <= ids[i-1] {
			return nil, damage("the freelist is not in order")
		}
	}
	return ids, nil
}

// A bounds is the range of keys that may stand below a branch element; nil is
// unbounded.
type bounds struct{ from, below []byte }

func (b bounds) hold(key []byte) bool {
	return bytes.Compare(key, b.from) >= 0 && (b.below == nil || bytes.Compare(key, b.below) < 0)
}

// page walks over a branch or leaf page and all below it.
func (t *tree) page(id uint64, in bounds, depth, nesting int) error {
	if depth > maxDepth {
		return damage("page %d is too deep", id)
	}
	p, err := t.open(id)
	if err != nil {
		return err
	}
	switch p.flags {
	case branchFlag:
		return t.branch(p, in, depth, nesting)
	case leafFlag:
		return t.leaf(p, in, nesting)
	default:
		return damage("page %d is of no known kind (flags %#x)", id, p.flags)
	}
}

func (t *tree) branch(p *page, in bounds, depth, nesting int) error {
	if p.count == 0 {
		return damage("branch page %d is empty", p.id)
	}
	children := make([]uint64, p.count)
	keys := make([][]byte, p.count, int(p.count)+1)
	for i := range children {
		e, at, err := p.element(i)
		if err != nil {
			return err
		}
		children[i] = order.Uint64(e[8:])
		if keys[i], err = p.key(at, order.Uint32(e), order.Uint32(e[4:])); err != nil {
			return err
		}
	}
	if err := p.checkKeys(keys, in); err != nil {
		return err
	}
	keys = append(keys, in.below)
	for i, child := range children {
		if err := t.page(child, bounds{keys[i], keys[i+1]}, depth+1, nesting); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) leaf(p *page, in bounds, nesting int) error {
	keys := make([][]byte, p.count)
	for i := range keys {
		e, at, err := p.element(i)
		if err != nil {
			return err
		}
		flags, offset, size, valueSize := order.Uint32(e), order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:])
		if keys[i], err = p.key(at, offset, size); err != nil {
			return err
		}
		value := at + uint64(offset) + uint64(size)
		if value+uint64(valueSize) > p.size {
			return damage("a value leaves page %d", p.id)
		}
		switch {
		case flags == 0:
		case flags == bucketFlag && nesting < maxNesting:
			if err := t.bucket(p, value, uint64(valueSize), nesting+1); err != nil {
				return err
			}
		default:
			return damage("page %d has an element with flags %#x", p.id, flags)
		}
	}
	return p.checkKeys(keys, in)
}

// bucket walks over the bucket that a value in page p holds.
func (t *tree) bucket(p *page, at, size uint64, nesting int) error {
	if size < bucketHead {
		return damage("a bucket in page %d is too short", p.id)
	}
	b, err := p.slice(at, size)
	if err != nil {
		return err
	}
	if root := order.Uint64(b); root != 0 {
		return t.page(root, bounds{}, 0, nesting)
	}
	b = b[bucketHead:]
	if len(b) < pageHead {
		return damage("an inline bucket in page %d is too short", p.id)
	}
	inline := parsePage(b[:pageHead])
	inline.head, inline.size = b, uint64(len(b))
	if inline.flags != leafFlag {
		return damage("an inline bucket in page %d is no leaf", p.id)
	}
	return t.leaf(inline, bounds{}, maxNesting) // bbolt never has buckets in one
}

// A page is an open page. Of one with overflow only the first part is in
// memory: its values are not needed.
type page struct {
	id       uint64
	flags    uint16
	count    uint16
	overflow uint32

	r    io.ReaderAt // of the whole page, for what lies behind head
	head []byte
	size uint64
}

func parsePage(head []byte) *page {
	return &page{
		id:       order.Uint64(head),
		flags:    order.Uint16(head[8:]),
		count:    order.Uint16(head[10:]),
		overflow: order.Uint32(head[12:]),
	}
}

// open reads a page and marks it as seen.
func (t *tree) open(id uint64) (*page, error) {
	if id < reservedMeta || id >= t.high {
		return nil, damage("page %d is outside of the %d in use", id, t.high)
	}
	head := make([]byte, t.pageSize)
	if _, err := t.r.ReadAt(head, int64(id*t.pageSize)); err != nil {
		return nil, damage("page %d: %v", id, err)
	}
	p := parsePage(head)
	if p.id != id {
		return nil, damage("page %d says that it is page %d", id, p.id)
	}
	if err := t.visit(id, uint64(p.overflow)); err != nil {
		return nil, err
	}
	p.head, p.size = head, (uint64(p.overflow)+1)*t.pageSize
	p.r = io.NewSectionReader(t.r, int64(id*t.pageSize), int64(p.size))
	return p, nil
}

// slice returns n bytes of the page.
func (p *page) slice(at, n uint64) ([]byte, error) {
	if at > p.size || n > p.size-at {
		return nil, damage("bytes %d to %d leave page %d", at, at+n, p.id)
	}
	if at+n <= uint64(len(p.head)) {
		return p.head[at : at+n], nil
	}
	b := make([]byte, n)
	if _, err := p.r.ReadAt(b, int64(at)); err != nil {
		return nil, damage("page %d: %v", p.id, err)
	}
	return b, nil
}

// element returns the i-th element and where it is.
func (p *page) element(i int) ([]byte, uint64, error) {
	at := uint64(pageHead + i*elementSize)
	b, err := p.slice(at, elementSize)
	return b, at, err
}

// key returns the key at an offset from an element.
func (p *page) key(element uint64, offset, size uint32) ([]byte, error) {
	if size == 0 {
		return nil, damage("page %d has an empty key", p.id)
	}
	return p.slice(element+uint64(offset), uint64(size))
}

func (p *page) checkKeys(keys [][]byte, in bounds) error {
	for i, key := range keys {
		if !in.hold(key) || i > 0 && bytes.Compare(keys[i-1], key) >= 0 {
			return damage("the keys of page %d are not in order", p.id)
		}
	}
	return nil
}
