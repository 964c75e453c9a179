//go:build !unix

package repair

// limitMemory leaves the bound to the Go runtime's soft limit.
func limitMemory(string, int64) error { return nil }
