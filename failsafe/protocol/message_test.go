package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/berth-host/berth/failsafe/record"
)

func TestReader(t *testing.T) {
	long := `{"options":["` + strings.Repeat("x", maxLine) + `"]}`
	text := strings.Join([]string{
		`{"phase":{"phase":"store","revision":"7"}}`,
		`nonsense`,
		long,
		`{"state":"wonderful"}`,
		`{"options":["` + strings.Repeat("y", maxOptions+1) + `"]}`,
		`{"phase":{"phase":"` + strings.Repeat("z", maxWord+1) + `"}}`,
		`{"beat":true}`,
		`{"fault":{"message":"cut off`,
	}, "\n")
	r := NewReader(strings.NewReader(text))
	var got []string
	for {
		m, err := r.Next()
		switch {
		case errors.Is(err, ErrMalformed):
			got = append(got, "malformed")
		case err != nil:
			if !errors.Is(err, io.EOF) {
				t.Errorf("the end is %v", err)
			}
			want := "store malformed malformed malformed malformed malformed beat"
			if joined := strings.Join(got, " "); joined != want {
				t.Errorf("got %s, want %s", joined, want)
			}
			return
		case m.Beat:
			got = append(got, "beat")
		case m.Phase != nil:
			got = append(got, string(m.Phase.Phase))
		default:
			got = append(got, fmt.Sprintf("%+v", m))
		}
	}
}

// FuzzReader lets a child whose memory is damaged write anything.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"phase":{"phase":"plan","revision":"1","module":"m"}}` + "\n"))
	f.Add([]byte(`{"state":"good","modules":["a"]}` + "\n" + `{"options":["without=x"]}` + "\n"))
	f.Add([]byte("\n\n{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		for range len(data) + 2 {
			m, err := r.Next()
			if errors.Is(err, ErrMalformed) {
				continue
			}
			if err != nil {
				return
			}
			if p := m.Phase; p != nil && len(p.Phase) > maxWord || size(m.Options) > maxOptions {
				t.Errorf("%.100q gives %+v", data, m)
			}
			if m.State != "" && m.State != record.Good && m.State != record.Degraded {
				t.Errorf("state %q", m.State)
			}
		}
		t.Errorf("no end of %d bytes", len(data))
	})
}

// FuzzStart reads what a wrapper of another version may write.
func FuzzStart(f *testing.F) {
	b, err := json.Marshal(Start{Mode: Normal, Beat: Beat, Key: bytes.Repeat([]byte{1}, KeySize), Sockets: []Socket{{Name: Site, Address: ":1"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add(`{"mode":"debug","beat":1,"failure":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseStart([]byte(text))
		if err == nil && s.Beat <= 0 {
			t.Errorf("%q gives a start without heartbeats", text)
		}
	})
}

// TestKeyIsHidden keeps the key out of logs.
func TestKeyIsHidden(t *testing.T) {
	s := Start{Key: Key("0123456789abcdef0123456789abcdef")}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, s); strings.Contains(text, "0123456789") || strings.Contains(text, "48, 49") || strings.Contains(text, "48 49") || strings.Contains(text, "0x30, 0x31") {
			t.Errorf("%s shows the key: %s", format, text)
		}
	}
}
