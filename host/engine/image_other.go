//go:build !linux

package engine

import (
	"errors"
	"os"
	"slices"
)

var systemPage = os.Getpagesize()

func newContents(memory []byte) (contents, error) {
	return contents{size: len(memory), zero: zeroPages(memory), bytes: slices.Clone(memory), file: -1}, nil
}

func (c *contents) close() {}

// mapOver writes the image over the beginning of a region, which must be
// usable.
func (c *contents) mapOver(region []byte) error {
	copy(region, c.bytes)
	return nil
}

func drop([]byte) error { return errors.ErrUnsupported }

func (c *contents) restoreDirty(*os.File, []byte) error { return errors.ErrUnsupported }

func bestRestoring() (restoring, *os.File) { return restoreCopied, nil }
