package registry

import (
	"fmt"
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/publish"
)

// TestUpdates publishes one thing after the other and looks at what is offered
// for a package that stays as it is.
func TestUpdates(t *testing.T) {
	w := newWorld(t)
	w.publish("baz.example/baz@v1.1.0")
	w.publish("foobar.example/foobar@v1.2.0", "baz.example/baz@v1.1.0")
	w.mustInstall("foobar.example/foobar")
	foobar := w.id("foobar.example/foobar@v1.2.0")
	lock, err := w.Lock(t.Context(), foobar, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name    string
		publish func()
		refresh []string
		want    string
	}{
		{"nothing is new", func() {}, []string{"foobar.example/foobar", "baz.example/baz"}, ""},
		{"a patch of the dependency", func() { w.publish("baz.example/baz@v1.1.4") }, []string{"baz.example/baz"},
			"dependencies v1.2.0 +[baz.example/baz@v1.1.4] -[baz.example/baz@v1.1.0] [{foobar.example/foobar baz baz.example/baz v1.1.0 v1.1.4}]"},
		{"nobody has looked", func() { w.publish("foobar.example/foobar@v1.2.7", "baz.example/baz@v1.1.0") }, nil,
			"dependencies v1.2.0 +[baz.example/baz@v1.1.4] -[baz.example/baz@v1.1.0] [{foobar.example/foobar baz baz.example/baz v1.1.0 v1.1.4}]"},
		{"a patch: what it stands on stays", func() {}, []string{"foobar.example/foobar"},
			"dependencies v1.2.0 +[baz.example/baz@v1.1.4] -[baz.example/baz@v1.1.0] [{foobar.example/foobar baz baz.example/baz v1.1.0 v1.1.4}]\n" +
				"patch v1.2.7 +[foobar.example/foobar@v1.2.7] -[foobar.example/foobar@v1.2.0] []"},
		{"a patch that loses data, prereleases and what needs another package", func() {
			if err := publish.Retract(t.Context(), w.out("foobar.example/foobar@v1.2.7"), "v1.2.7", "loses data", ""); err != nil {
				t.Fatal(err)
			}
			if err := publish.Retract(t.Context(), w.out("baz.example/baz@v1.1.4"), "v1.1.4", "loses data", ""); err != nil {
				t.Fatal(err)
			}
			w.publish("util.example/util@v0.1.0")
			w.publish("foobar.example/foobar@v1.2.8-rc.1", "baz.example/baz@v1.1.0")
			w.publish("foobar.example/foobar@v1.9.0", "util.example/util@v0.1.0")
			w.publish("foobar.example/foobar@v3.0.0", "baz.example/baz@v7.0.0")
		}, []string{"foobar.example/foobar", "baz.example/baz"},
			"compatible v1.9.0 unknown [util.example/util]\n" +
				"major v3.0.0 foobar.example/foobar@v3.0.0 requires baz.example/baz of at least v7.0.0 (patch): no version fits; published are v1.1.0, v1.1.4 (retracted: loses data)"},
		{"all is known", func() {}, []string{"util.example/util"},
			"compatible v1.9.0 +[foobar.example/foobar@v1.9.0 util.example/util@v0.1.0] -[baz.example/baz@v1.1.0 foobar.example/foobar@v1.2.0] []\n" +
				"major v3.0.0 foobar.example/foobar@v3.0.0 requires baz.example/baz of at least v7.0.0 (patch): no version fits; published are v1.1.0, v1.1.4 (retracted: loses data)"},
	} {
		step.publish()
		for _, pkg := range step.refresh {
			if _, err := w.Refresh(t.Context(), pkg); err != nil {
				t.Fatal(err)
			}
		}
		updates, err := w.Updates(t.Context(), lock)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range updates {
			line := fmt.Sprintf("%s %s ", u.Reach, u.To.Version)
			switch {
			case u.Unknown != nil:
				line += fmt.Sprint("unknown ", u.Unknown)
			case u.Problem != nil:
				line += u.Problem.Error()
			default:
				line += fmt.Sprintf("+%v -%v %v", u.Changes.Added, u.Changes.Removed, u.Changes.Moved)
			}
			got = append(got, line)
		}
		if text := strings.Join(got, "\n"); text != step.want {
			t.Errorf("%s: got\n%s\nwant\n%s", step.name, text, step.want)
		}
	}
	if again, err := w.Lock(t.Context(), foobar, nil); err != nil || fmt.Sprint(again) != fmt.Sprint(lock) {
		t.Errorf("looking has changed something: %+v, %v", again, err)
	}
}
