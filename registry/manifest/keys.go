package manifest

import (
	"bytes"
	"maps"
	"slices"
	"strings"
)

// knownKeys are the keys of berth.toml; * stands for any name, and below
// config everything is the author's.
var knownKeys = []string{
	"package", "version", "title", "description", "license", "homepage",
	"handler", "handler.module", "handler.engine", "handler.source", "handler.abi", "handler.isolation", "handler.timeout", "handler.memory", "handler.health",
	"filter", "filter.module", "filter.engine", "filter.source", "filter.abi", "filter.isolation", "filter.timeout", "filter.memory", "filter.health",
	"dependencies", "dependencies.*.package", "dependencies.*.version", "dependencies.*.policy",
	"config", "permissions", "permissions.data", "permissions.fetch", "permissions.fetch.host", "permissions.fetch.reason",
	"assets", "data", "data.version", "data.migrate",
}

// suggestion names the known key that is nearest to an unknown one, if one is
// near enough to be a slip.
func suggestion(key []string) string {
	last := key[len(key)-1]
	near := map[string]bool{}
	for _, known := range knownKeys {
		parts := strings.Split(known, ".")
		name := parts[len(parts)-1]
		if name != "*" && len(parts) == len(key) && distance(last, name) <= 1+len(name)/4 {
			near[name] = true
		}
	}
	names := slices.Sorted(maps.Keys(near))
	if len(names) == 0 {
		return ""
	}
	best := slices.MinFunc(names, func(a, b string) int { return distance(last, a) - distance(last, b) })
	return ` (did you mean "` + best + `"?)`
}

// distance is how many letters must be changed, added, left out or swapped
// with their neighbour to make b of a (restricted Damerau-Levenshtein).
func distance(a, b string) int {
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

// lines finds keys again in a file that was decoded: the decoder tells
// positions of what it refuses, not of what it accepts.
type lines map[string]int

// findLines maps dotted keys to their lines. It reads what berth.toml looks
// like in practice: tables, keys and inline tables that begin on a key's line.
func findLines(b []byte) lines {
	found := lines{}
	table := ""
	for i, line := range bytes.Split(b, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if strings.HasPrefix(text, "[") {
			table = strings.Trim(strings.SplitN(text, "#", 2)[0], "[] \t")
			found.add(table, i+1)
			continue
		}
		key, _, ok := strings.Cut(text, "=")
		if !ok || strings.HasPrefix(text, "#") {
			continue
		}
		key = strings.Trim(strings.TrimSpace(key), `"`)
		if table != "" {
			key = table + "." + key
		}
		found.add(key, i+1)
	}
	return found
}

func (l lines) add(key string, line int) {
	if _, ok := l[key]; !ok {
		l[key] = line
	}
}

// of returns the line of a key, or of the nearest table around it.
func (l lines) of(key string) int {
	for key != "" {
		if line, ok := l[key]; ok {
			return line
		}
		dot := strings.LastIndexByte(key, '.')
		if dot < 0 {
			return 0
		}
		key = key[:dot]
	}
	return 0
}
