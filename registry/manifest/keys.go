package manifest

import (
	"fmt"
	"slices"
)

var handlerKeys = []string{"module", "engine", "source", "abi", "isolation", "timeout", "memory", "health"}

// knownKeys are the keys of each kind of table; NAME stands for a name that the
// author chooses. The keys of assets are paths, those of config a JSON Schema.
var knownKeys = map[string][]string{
	"": {"package", "version", "title", "description", "license", "homepage",
		"handler", "filter", "dependencies", "config", "permissions", "assets", "data"},
	"handler":           handlerKeys,
	"filter":            handlerKeys,
	"dependencies.NAME": {"package", "version", "policy"},
	"permissions":       {"data", "fetch"},
	"permissions.fetch": {"host", "reason"},
	"data":              {"version", "migrate"},
}

// suggestion names the known key that an author may have meant by an unknown
// one in a table of that kind: the nearest if it is near enough to be a slip,
// else the same key of another table that a package has once.
func suggestion(kind, unknown string) string {
	best, least := "", 0
	for _, known := range knownKeys[kind] {
		if d := distance(unknown, known); d <= 1+len(known)/4 && (best == "" || d < least) {
			best, least = known, d
		}
	}
	if best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	for _, other := range []string{"handler", "permissions", "data"} {
		if slices.Contains(knownKeys[other], unknown) {
			return fmt.Sprintf(" (did you mean %q?)", other+"."+unknown)
		}
	}
	return ""
}

// maxDistance is the length of the longest key that is compared with others.
const maxDistance = 32

// distance is how many letters must be changed, added, left out or swapped
// with their neighbour to make b of a (restricted Damerau-Levenshtein).
func distance(a, b string) int {
	if len(a) > maxDistance {
		return len(a)
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
