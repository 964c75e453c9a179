package console

import (
	"context"
	"net/http"
	"strconv"
)

// BaseHeader names, in decimal, the revision of the site that whoever asks for a
// change has looked at. If what the change touches was changed since, it is
// refused with the code "conflict" and nothing happens. Without it a change is
// made to the site as it is now.
const BaseHeader = "Berth-Base"

type baseKey struct{}

// WithBase returns ctx for a change by somebody who has looked at a revision;
// 0 says nothing.
func WithBase(ctx context.Context, revision uint64) context.Context {
	if revision == 0 {
		return ctx
	}
	return context.WithValue(ctx, baseKey{}, revision)
}

// Base is the revision that whoever asks for a change has looked at, 0 if they
// don't say.
func Base(ctx context.Context) uint64 {
	revision, _ := ctx.Value(baseKey{}).(uint64)
	return revision
}

// withBase reads [BaseHeader].
func withBase(r *http.Request) (*http.Request, error) {
	text := r.Header.Get(BaseHeader)
	if text == "" {
		return r, nil
	}
	revision, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, badRequest("the header %s holds %q, which is not the number of a revision", BaseHeader, text)
	}
	return r.WithContext(WithBase(r.Context(), revision)), nil
}
