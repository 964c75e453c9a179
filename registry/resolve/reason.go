package resolve

import (
	"fmt"
	"strings"

	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/manifest"
	"github.com/berth-host/berth/registry/name"
)

// Reason says to an owner why an edge has its version, by the list of versions
// from which it was chosen.
func Reason(e Edge, idx *index.Index) string {
	chosen := idx.Find(e.Chosen)
	var why string
	switch minor := name.Minor(e.Version); {
	case chosen == nil || chosen.Retracted != "":
		return "chosen earlier and kept, though it is not to be had any more"
	case e.Policy == manifest.PolicyExact:
		return "just this version is required"
	case pick(idx, e.Dependency) != chosen:
		return fmt.Sprintf("chosen earlier and kept: it still fits %s", e.Version)
	case e.Policy == manifest.PolicyCompatible:
		why = "the newest version compatible with " + e.Version
	case name.Minor(e.Chosen) == minor:
		why = "the newest patch of " + minor
	default:
		why = fmt.Sprintf("the nearest version above %s, of which no patch is to be had", minor)
	}
	var newer []string // that would have been better
	for _, v := range idx.Versions {
		if v.Retracted == "" || name.Compare(v.Version, e.Chosen) <= 0 || !satisfies(v.Version, e.Dependency) {
			continue
		}
		if e.Policy == manifest.PolicyCompatible || name.Minor(v.Version) == name.Minor(e.Chosen) {
			newer = append(newer, fmt.Sprintf("%s was retracted: %s", v.Version, v.Retracted))
		}
	}
	return strings.Join(append([]string{why}, newer...), "; ")
}
