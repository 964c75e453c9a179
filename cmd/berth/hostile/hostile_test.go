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
	if log := f.logs.String(); strings.Contains(log, "panicked") {
		t.Errorf("the server panicked:\n%s", log)
	}
}

func (f *fixture) addresses() []row {
	var rows []row
	for _, x := range []struct{ source, want string }{
		{"", "bad_source: cannot fetch from there: nothing was given; paste an address such as https://baz.example/baz"},
		{"   ", "bad_source: cannot fetch from there: nothing was given; paste an address such as https://baz.example/baz"},
		{"two words", `bad_source: cannot fetch from there: "two words" is not a web address`},
		{"oci://ghcr.io/o/p:1", "bad_source: cannot fetch from there: not supported yet: packages from OCI registries"},
		{"file:///etc/passwd", "bad_source: cannot fetch from there: a file on the server's own disk: upload it, or give its path to berth install"},
		{"ftp://baz.example/baz", "bad_source: cannot fetch from there: not supported: FTP; paste an https address"},
		{"javascript:alert(1)", `bad_source: cannot fetch from there: "javascript:alert(1)" is not a web address`},
		{"https://user:secret@baz.example/baz", "bad_source: cannot fetch from there: an address with a user or password in it would be kept and shown"},
		{"https://baz.example/baz#v2", `bad_source: cannot fetch from there: "https://baz.example/baz#v2" has a fragment (#…), which names no file`},
		{"https://baz.example/baz?version=2", "bad_source: cannot fetch from there: the address of a package has no ? in it"},
		{"https://github.com/o/r", "bad_source: cannot fetch from there: a repository is not a package: paste the address of a .zip or .wasm among its releases"},
		{"http://baz.example/baz", "not_allowed: fetch http://baz.example/baz/berth-index.json: not allowed without your permission: http://baz.example is not https.\nIf that server is yours, allow it: berth settings --allow http://baz.example"},
		{"https://10.0.0.1/x", "not_allowed: fetch https://10.0.0.1/x/berth-index.json: not allowed without your permission: 10.0.0.1 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://10.0.0.1"},
		{"https://127.0.0.1:1/x", "not_allowed: fetch https://127.0.0.1:1/x/berth-index.json: not allowed without your permission: https://127.0.0.1:1 has a port of its own.\nIf that server is yours, allow it: berth settings --allow https://127.0.0.1:1"},
		{"https://localhost/x", "not_allowed: fetch https://localhost/x/berth-index.json: not allowed without your permission: localhost is at 127.0.0.1, a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://localhost"},
		{"https://169.254.169.254/latest/meta-data", "not_allowed: fetch https://169.254.169.254/latest/meta-data/berth-index.json: not allowed without your permission: 169.254.169.254 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://169.254.169.254"},
		{"https://[::1]/x", "not_allowed: fetch https://[::1]/x/berth-index.json: not allowed without your permission: ::1 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://[::1]"},
		{"https://[::ffff:127.0.0.1]/x", "not_allowed: fetch https://[::ffff:127.0.0.1]/x/berth-index.json: not allowed without your permission: 127.0.0.1 is a private or reserved address.\nIf that server is yours, allow it: berth settings --allow https://[::ffff:127.0.0.1]"},
		{"https://baz.example/baz@nope", `bad_source: cannot fetch from there: invalid name: "nope" selects no version: write latest, v2, v2.5 or v2.5.1`},
		{"https://baz.example/../baz", `bad_source: cannot fetch from there: the path of "https://baz.example/../baz" is not clean`},
		{"https://baz.example/baz.zip@v2", "bad_source: cannot fetch from there: a file has no versions to select from: leave @v2 out"},
		{"https://baz.example/a\x00b", "bad_source: cannot fetch from there: \"https://baz.example/a\\x00b\" is not a web address"},
		{"https://", `bad_source: cannot fetch from there: invalid name: "" names no package`},
	} {
		rows = append(rows, row{name: x.source, do: func() string { return f.install(x.source) }, want: x.want})
	}
	return rows
}
