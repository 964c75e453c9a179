package password

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// costs are the parameters of Argon2id (RFC 9106): memory in KiB, passes over
// it, and lanes.
type costs struct {
	memory uint32
	passes uint32
	lanes  uint8
}

// The costs that are chosen from. The lesser one is what OWASP asks for at
// least; two of the greater at once still fit a machine of 1 GiB.
var (
	lesserCosts  = costs{memory: 19 << 10, passes: 2, lanes: 1}
	greaterCosts = costs{memory: 64 << 10, passes: 3, lanes: 1}
)

// What a file may ask for. Beyond that it is damaged: nobody shall make the
// server take gigabytes, or let everybody in.
var (
	leastCosts = costs{memory: 8 << 10, passes: 1, lanes: 1}
	mostCosts  = costs{memory: 256 << 10, passes: 10, lanes: 4}
)

const (
	saltSize = 16
	sumSize  = 32
	// maxSalt and maxSum bound what others may have written, in bytes.
	maxSalt = 64
	maxSum  = 64
)

// enoughMemory is from where on the greater costs are chosen, in bytes. A
// machine of 1 GiB reports somewhat less.
const enoughMemory = 900 << 20

func costsHere() costs {
	if total, known := machineMemory(); known && total < enoughMemory {
		return lesserCosts
	}
	return greaterCosts
}

// A hash is a hashed password.
type hash struct {
	costs
	salt, sum []byte
}

func newHash(text string, c costs) hash {
	h := hash{costs: c, salt: make([]byte, saltSize)}
	_, _ = rand.Read(h.salt) // never fails since Go 1.24
	h.sum = h.of(text, sumSize)
	return h
}

func (h hash) of(text string, size int) []byte {
	return argon2.IDKey([]byte(text), h.salt, h.passes, h.memory, h.lanes, uint32(size))
}

func (h hash) matches(text string) bool {
	return subtle.ConstantTimeCompare(h.of(text, len(h.sum)), h.sum) == 1
}

// b64 is the base64 of PHC strings.
var b64 = base64.RawStdEncoding.Strict()

// String returns the hash as a PHC string:
//
//	$argon2id$v=19$m=65536,t=3,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG
func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b64.EncodeToString(h.salt), b64.EncodeToString(h.sum))
}

// errParse is wrapped by the errors of what is no hash.
var errParse = errors.New("no Argon2id hash")

func parseHash(s string) (h hash, err error) {
	bad := func(what string) (hash, error) { return hash{}, fmt.Errorf("%w: %s", errParse, what) }
	fields := strings.Split(s, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" {
		return bad("it does not have the form $argon2id$v=…$m=…,t=…,p=…$salt$hash")
	}
	if fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return bad("it is not of version 19")
	}
	var memory, passes, lanes uint64
	parameters := strings.Split(fields[3], ",")
	if len(parameters) != 3 {
		return bad("it does not have the parameters m, t and p")
	}
	for i, p := range []struct {
		name        string
		value       *uint64
		least, most uint64
	}{
		{"m", &memory, uint64(leastCosts.memory), uint64(mostCosts.memory)},
		{"t", &passes, uint64(leastCosts.passes), uint64(mostCosts.passes)},
		{"p", &lanes, uint64(leastCosts.lanes), uint64(mostCosts.lanes)},
	} {
		digits, ok := strings.CutPrefix(parameters[i], p.name+"=")
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || strconv.FormatUint(n, 10) != digits || n < p.least || n > p.most {
			return bad(fmt.Sprintf("its parameter %s must be a number from %d to %d", p.name, p.least, p.most))
		}
		*p.value = n
	}
	h.costs = costs{memory: uint32(memory), passes: uint32(passes), lanes: uint8(lanes)}
	if h.salt, err = b64.DecodeString(fields[4]); err != nil || len(h.salt) < 8 || len(h.salt) > maxSalt {
		return bad("its salt can't be read")
	}
	if h.sum, err = b64.DecodeString(fields[5]); err != nil || len(h.sum) < 16 || len(h.sum) > maxSum {
		return bad("its hash can't be read")
	}
	return h, nil
}

// checksumLabel begins the second line of a password file. Without it a
// changed byte in the hash would look like a wrong password for ever. A file
// that other tools made may do without.
const checksumLabel = "sha256:"

// file returns what stands in a password file.
func (h hash) file() []byte {
	line := h.String() + "\n"
	return fmt.Appendf(nil, "%s%s%x\n", line, checksumLabel, sha256.Sum256([]byte(line)))
}

func parseFile(data []byte) (hash, error) {
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if rest = bytes.TrimRight(rest, "\r\n"); len(rest) > 0 {
		sum := sha256.Sum256(append(bytes.Clone(line), '\n'))
		if string(rest) != checksumLabel+hex.EncodeToString(sum[:]) {
			return hash{}, fmt.Errorf("%w: its checksum is not that of its first line", errParse)
		}
	}
	return parseHash(string(bytes.TrimRight(line, "\r")))
}
