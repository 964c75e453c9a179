package journeys

import (
	"testing"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
)

// places are the pages that can be looked at as they are.
var places = []string{"/", "/modules", "/modules/install", "/modules/copies", "/sitemap", "/configuration", "/releases", "/traffic", "/logs", "/access", "/system", "/jobs", "/search?q=foo"}

// furnish gives the server a site: Foobar at /, Frundle in the beta of /news.
func (j *journey) furnish() {
	j.Helper()
	c := client.New(j.access)
	for _, id := range []string{"foobar", "frundle"} {
		var job console.Job
		j.api("POST", "/bundled", api.InstallBundled{ID: id}, &job)
		job, err := c.Follow(j.Context(), job, func(console.Job) {})
		if err != nil || job.Error != nil {
			j.Fatalf("install %s: %v %v", id, err, job.Error)
		}
	}
	j.api("POST", "/mounts", api.MountRequest{Package: "foobar.example/foobar", Path: "/", Slot: "production", Grants: []string{"all"}}, nil)
	j.api("POST", "/mounts", api.MountRequest{Package: "frundle.example/frundle", Path: "/news"}, nil)
}

// TestPlaces looks at every place of the console, empty and furnished.
func TestPlaces(t *testing.T) {
	j := newJourney(t)
	j.login()
	for _, path := range places {
		j.open(path)
		j.audit("empty" + path)
	}
	j.furnish()
	for _, path := range places {
		j.open(path)
		j.audit("place" + path)
	}
}
