package manifest

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/berth-host/berth/registry/name"
)

// Rename returns the text of a manifest that says to be id, and is otherwise as
// it was, comments and order included. A key that is missing is put first. The
// manifest need not be right in anything else; text that is no TOML is [Faults].
func Rename(b []byte, id name.ID) ([]byte, error) {
	type edit struct {
		from, to int
		text     string
	}
	var edits []edit // in the order of the file
	wanted := map[string]string{"package": id.Package, "version": id.Version}
	var p unstable.Parser
	p.Reset(bytes.Clone(b)) // it may point into what it is given
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind == unstable.Table || e.Kind == unstable.ArrayTable {
			break // what follows is not at the top
		}
		if e.Kind != unstable.KeyValue {
			continue
		}
		key := e.Key()
		key.Next()
		value, ok := wanted[string(key.Node().Data)]
		if !ok || !key.IsLast() || e.Value().Kind != unstable.String {
			continue
		}
		raw := e.Value().Raw
		edits = append(edits, edit{int(raw.Offset), int(raw.Offset + raw.Length), strconv.Quote(value)})
		delete(wanted, string(key.Node().Data))
	}
	if err := p.Error(); err != nil {
		s := &parser{file: File}
		_, err := s.parse(b)
		return nil, err
	}
	var out bytes.Buffer
	for _, key := range []string{"package", "version"} {
		if value, missing := wanted[key]; missing {
			fmt.Fprintf(&out, "%s = %q\n", key, value)
		}
	}
	at := 0
	for _, e := range edits {
		out.Write(b[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(b[at:])
	return out.Bytes(), nil
}

// LineOf returns the line of a key such as handler.module in the text of a
// manifest, from 1; 0 when it has none.
func LineOf(b []byte, key string) int { return findLines(b)[key] }
