package web

import "sync"

// flashes are messages for the next page that a session sees, such as
// "Saved". They are kept here and not in a cookie: something else on the same
// host could write one.
type flashes struct {
	mu        sync.Mutex
	bySession map[string]string
}

// maxFlashes bounds the sessions with a message that nobody came for.
const maxFlashes = 1000

func (f *flashes) put(session, message string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bySession == nil || len(f.bySession) >= maxFlashes {
		f.bySession = map[string]string{}
	}
	f.bySession[session] = message
}

func (f *flashes) take(session string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	message := f.bySession[session]
	delete(f.bySession, session)
	return message
}
