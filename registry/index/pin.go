package index

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// A Pin is what is remembered of a package's publisher since first sight.
type Pin struct {
	Keys   []string `json:"keys,omitempty"` // verifier keys of which one has to sign; none: it was never signed
	Serial uint64   `json:"serial"`         // of the newest index seen
}

// A PinError says that an index is not by the publisher who is known, or is
// older than what was seen already. It stops everything: nobody should be able
// to click it away.
type PinError struct {
	Package string
	Problem string // what does not fit
	Advice  string // what to do
}

func (e *PinError) Error() string {
	return fmt.Sprintf("SECURITY: the index of %s cannot be trusted.\n%s\nNothing was changed: what is installed stays and goes on running.\n%s", e.Package, e.Problem, e.Advice)
}

// Next returns the pin after an index was seen, signed by signers, of which
// before is what was known; nil at first sight. A publisher changes his key by
// signing with the old and the new one, and listing both.
func Next(before *Pin, idx *Index, signers []string) (Pin, error) {
	next := Pin{Keys: signers, Serial: idx.Serial}
	if before == nil {
		return next, nil
	}
	if idx.Serial < before.Serial {
		return *before, &PinError{idx.Package,
			fmt.Sprintf("It went back from serial %d to %d: someone serves an old list, which may hide fixes and retractions.", before.Serial, idx.Serial),
			"Try again later. If it stays so, ask the publisher whether his files were restored from a copy; he then publishes with a higher serial."}
	}
	if len(before.Keys) == 0 {
		return next, nil // a publisher may begin to sign
	}
	if len(signers) == 0 {
		return *before, &PinError{idx.Package,
			"It was signed before and is not any more.",
			"Ask the publisher. Until he signs again with " + KeyNames(before.Keys) + ", updates of this package stay off."}
	}
	if !slices.ContainsFunc(signers, func(key string) bool { return slices.Contains(before.Keys, key) }) {
		return *before, &PinError{idx.Package,
			fmt.Sprintf("It is signed by %s, and not by %s as before. Its server or its domain may be in other hands.", KeyNames(signers), KeyNames(before.Keys)),
			"Ask the publisher by another way than his web site. A publisher who changes his key signs with both for a while."}
	}
	return next, nil
}

// KeyNames shows verifier keys by name and hash, as in their signatures.
func KeyNames(keys []string) string {
	var names []string
	for _, key := range keys {
		if v, err := note.NewVerifier(key); err == nil {
			names = append(names, fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()))
		}
	}
	return strings.Join(names, " and ")
}
