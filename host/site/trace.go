package site

// CallOf returns the ID of the request and the package, with version, of a
// guest's call by its state, as host functions find it: for who traces what
// modules ask of the server. ok is false while an instance starts, which is
// for no request.
func CallOf(state any) (request, pkg string, ok bool) {
	c, ok := state.(*call)
	if !ok || c.request == "" {
		return "", "", false
	}
	return c.request, c.unit.String(), true
}
