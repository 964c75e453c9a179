package engine

// metered says whether rewrite meters yet: tests of guests that do not end
// wait for it.
const metered = false

// rewrite checks a module and returns it metered and capped, with the bytes
// of memory that it starts with.
func rewrite(module []byte) (rewritten []byte, memory int64, err error) {
	return module, 0, nil
}
