package registry

import (
	"context"
	"fmt"

	"github.com/berth-host/berth/registry/fetch"
)

// Settings say where packages may come from.
type Settings struct {
	Mirrors map[string]string `json:"mirrors,omitempty"` // prefix of package paths → base URL
	Origins []string          `json:"origins,omitempty"` // allowed though plain HTTP, private or with a port
}

// Settings returns the settings.
func (r *Registry) Settings() Settings {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settings
}

func (r *Registry) policy() fetch.Policy {
	s := r.Settings()
	return fetch.Policy{Origins: s.Origins, Mirrors: s.Mirrors}
}

// ChangeSettings applies f to the settings and keeps the result, once it has
// been checked. f must replace maps and slices, not write into them.
func (r *Registry) ChangeSettings(ctx context.Context, f func(*Settings)) (Settings, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var settings Settings
	revision, err := r.get(ctx, refSettings, &settings)
	if err != nil {
		return settings, err
	}
	f(&settings)
	if err := settings.check(); err != nil {
		return settings, err
	}
	change, err := put(refSettings, revision, settings)
	if err != nil {
		return settings, err
	}
	if _, err := r.store.SwapRefs(ctx, change); err != nil {
		return settings, err
	}
	r.settings = settings
	return settings, nil
}

func (s Settings) check() error {
	for _, o := range s.Origins {
		if checked, err := fetch.CheckOrigin(o); err != nil {
			return err
		} else if checked != o {
			return fmt.Errorf("%w: write the origin %q as %q", fetch.ErrSource, o, checked)
		}
	}
	for prefix, base := range s.Mirrors {
		if err := fetch.CheckMirror(prefix, base); err != nil {
			return err
		}
	}
	return nil
}
