//go:build !(linux || darwin)

package engine

// limitSelf has nothing to offer here: only the time limit of the parent holds.
func limitSelf(childLimits) error { return nil }
