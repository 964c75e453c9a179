package hostile

import (
	"strings"
	"testing"
)

// minRows is how many rows there have to be.
const minRows = 60

func TestHostile(t *testing.T) {
	f := newFixture(t)
	f.mountHealthy()
	total := 0
	for _, table := range []struct {
		name string
		rows []row
	}{
		{"addresses", f.addresses()},
		{"upstreams", f.upstreams()},
		{"uploads", f.uploads()},
		{"guests", f.guests()},
		{"visits", f.visits()},
		{"calls", f.calls()},
	} {
		t.Run(table.name, func(t *testing.T) {
			f := f.in(t)
			f.check(table.rows)
		})
		total += len(table.rows)
	}
	t.Logf("%d rows; the healthy mount answered %d times meanwhile", total, f.healthy.Load())
	if total < minRows {
		t.Errorf("%d rows; at least %d are wanted", total, minRows)
	}
	if log := f.logs.String(); strings.Contains(log, "panic") {
		t.Errorf("the server panicked:\n%s", log)
	}
}

func (f *fixture) addresses() []row {
	var rows []row
	for _, x := range []struct{ source, want string }{
		{"", "?"},
		{"   ", "?"},
		{"two words", "?"},
		{"oci://ghcr.io/o/p:1", "?"},
		{"file:///etc/passwd", "?"},
		{"ftp://baz.example/baz", "?"},
		{"javascript:alert(1)", "?"},
		{"https://user:secret@baz.example/baz", "?"},
		{"https://baz.example/baz#v2", "?"},
		{"https://baz.example/baz?version=2", "?"},
		{"https://github.com/o/r", "?"},
		{"http://baz.example/baz", "?"},
		{"https://10.0.0.1/x", "?"},
		{"https://127.0.0.1:1/x", "?"},
		{"https://localhost/x", "?"},
		{"https://169.254.169.254/latest/meta-data", "?"},
		{"https://[::1]/x", "?"},
		{"https://[::ffff:127.0.0.1]/x", "?"},
		{"https://baz.example/baz@nope", "?"},
		{"https://baz.example/../baz", "?"},
		{"https://baz.example/baz.zip@v2", "?"},
		{"https://baz.example/a\x00b", "?"},
		{"https://", "?"},
	} {
		rows = append(rows, row{name: x.source, do: func() string { return f.install(x.source) }, want: x.want})
	}
	return rows
}
