package manifest

import (
	"strings"
	"testing"

	"github.com/berth-host/berth/registry/name"
)

var renamed = name.ID{Package: "local.invalid/copy", Version: "v1.2.4"}

func TestRename(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"in place", "# mine\npackage     = \"a.example/a\" # here\nversion = 'v1.2.3'\ntitle = \"A\"\n", "# mine\npackage     = \"local.invalid/copy\" # here\nversion = \"v1.2.4\"\ntitle = \"A\"\n"},
		{"other tables are left alone", "version = \"v1.2.3\"\npackage = \"a.example/a\"\n[dependencies]\nb = { package = \"b.example/b\", version = \"v1.0.0\" }\n[data]\nversion = 2\n",
			"version = \"v1.2.4\"\npackage = \"local.invalid/copy\"\n[dependencies]\nb = { package = \"b.example/b\", version = \"v1.0.0\" }\n[data]\nversion = 2\n"},
		{"dotted keys are left alone", "package = \"a.example/a\"\ndata.version = 2\nversion = \"v1.2.3\"\n", "package = \"local.invalid/copy\"\ndata.version = 2\nversion = \"v1.2.4\"\n"},
		{"missing", "title = \"A\"\n", "package = \"local.invalid/copy\"\nversion = \"v1.2.4\"\ntitle = \"A\"\n"},
		{"long texts", "package = \"\"\"\na.example/a\"\"\"\nversion = '''v1'''\n", "package = \"local.invalid/copy\"\nversion = \"v1.2.4\"\n"},
		{"other line ends", "package = \"a\"\r\nversion = \"v\"\r\n", "package = \"local.invalid/copy\"\r\nversion = \"v1.2.4\"\r\n"},
		{"quoted keys", "\"package\" = \"a\"\n'version' = \"v\"\n", "\"package\" = \"local.invalid/copy\"\n'version' = \"v1.2.4\"\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Rename([]byte(tt.in), renamed)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %v\n%s\nwant\n%s", err, got, tt.want)
			}
		})
	}
	if _, err := Rename([]byte("package = \"a\"\nversion = = 1\n"), renamed); err == nil || !strings.Contains(err.Error(), "berth.toml:2: ") {
		t.Errorf("what is no TOML gives %v", err)
	}
}

// FuzzRename asks that a manifest which can be read says its new name
// afterwards, and everything else as before.
func FuzzRename(f *testing.F) {
	f.Add("package = \"a.example/a\"\nversion = \"v1.0.0\"\n[handler]\nmodule = \"a.wasm\"\n")
	f.Add("version = '''v1.0.0'''\npackage=\"a.example/a\"#\n[[x]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		before, err := Parse(File, []byte(text))
		if err != nil {
			Rename([]byte(text), renamed) // it must not panic
			return
		}
		out, err := Rename([]byte(text), renamed)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		after, err := Parse(File, out)
		if err != nil || after.ID != renamed || after.Title != before.Title || len(after.Dependencies) != len(before.Dependencies) {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
	})
}
