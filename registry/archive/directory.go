package archive

import (
	"encoding/binary"
	"io"
)

// Records of a zip, by APPNOTE.TXT 4.3.12, 4.3.15 and 4.3.16.
const (
	headerSignature    = 0x02014b50 // central directory header
	headerSize         = 46
	locatorSignature   = 0x07064b50 // zip64 end of central directory locator
	locatorSize        = 20
	endSignature       = 0x06054b50 // end of central directory record
	endSize            = 22
	maxDirectory       = MaxEntries * 512 // bytes of the central directory
	zip64RecordsMarker = 0xffff
)

// checkDirectory bounds the number of entries before archive/zip sees them: it
// reads headers for as long as it finds any, whatever number the zip declares,
// and keeps all in memory. The directory has to be exactly where a zip of this
// size keeps it, so that there is one way only to read the zip; packages need
// neither zip64 nor comments.
func checkDirectory(r io.ReaderAt, size int64) error {
	if size < endSize {
		return invalid("%d bytes are no zip", size)
	}
	end := make([]byte, endSize)
	if _, err := r.ReadAt(end, size-endSize); err != nil && err != io.EOF {
		return err
	}
	le := binary.LittleEndian
	if le.Uint32(end) != endSignature || le.Uint16(end[20:]) != 0 {
		return invalid("it does not end as a zip does: it was cut off, or something follows it")
	}
	records, length, offset := int(le.Uint16(end[10:])), int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	switch {
	case records == zip64RecordsMarker || records > MaxEntries || length > maxDirectory:
		return invalid("it has more than %d entries", MaxEntries)
	case records == 0:
		return invalid("it has no entries")
	case offset+length+endSize != size:
		return invalid("its directory is not where it says")
	}
	directory := make([]byte, length)
	if _, err := r.ReadAt(directory, offset); err != nil && err != io.EOF {
		return err
	}
	// archive/zip would follow a zip64 locator to another directory.
	if length >= locatorSize && le.Uint32(directory[length-locatorSize:]) == locatorSignature {
		return invalid("it is a zip64")
	}
	found := 0
	for len(directory) >= headerSize && le.Uint32(directory) == headerSignature {
		n := headerSize + int(le.Uint16(directory[28:])) + int(le.Uint16(directory[30:])) + int(le.Uint16(directory[32:]))
		if n > len(directory) {
			break
		}
		directory = directory[n:]
		found++
	}
	if found != records || len(directory) > 0 {
		return invalid("it says that it has %d entries, and lists %d", records, found)
	}
	return nil
}
