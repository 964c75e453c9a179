package store

import "context"

type progressKey struct{}

// WithProgress returns a context with which [Store] calls that read everything
// tell how many bytes of how many they have read. tell must not block.
func WithProgress(ctx context.Context, tell func(done, total int64)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// Progress returns what [WithProgress] put into ctx, or a function that does
// nothing.
func Progress(ctx context.Context) (tell func(done, total int64)) {
	if tell, ok := ctx.Value(progressKey{}).(func(done, total int64)); ok {
		return tell
	}
	return func(int64, int64) {}
}
