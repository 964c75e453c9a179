package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console/api"
)

// A settingField is one value of a configuration form, made from its JSON Schema.
// Nothing that a schema says is trusted: it only chooses among the inputs here,
// and all its texts are escaped by the templates.
type settingField struct {
	Value   api.ConfigValue // the setting that it is, or belongs to
	Name    string          // of the input: package and path
	Path    string          // JSON Pointer below the package's configuration
	ID      string
	Label   string
	Help    string
	Kind    fieldKind
	Input   string // type of the input, of a text
	Text    string // what stands in it
	Choices []fieldChoice
	Limits  string // in words
	Needed  bool   // the package can't do without it
	Secret  bool
	Fields  []*settingField // of a group
	Here    bool            // it is set at the level of the form, and can be taken away there
	Reset   bool            // the owner wants that
	Wrong   []string        // what is wrong with it
	Shown   string          // tells what stood in it when the page was made

	key   string          // its name in the object that it belongs to
	items string          // type of a list's items
	was   json.RawMessage // nil: not set, or a secret
}

type fieldKind string

// The kinds of a field.
const (
	kindText   fieldKind = "text"
	kindLong   fieldKind = "long" // text of several lines
	kindNumber fieldKind = "number"
	kindYesNo  fieldKind = "yesno"
	kindChoice fieldKind = "choice"
	kindList   fieldKind = "list"  // simple values, one a line
	kindGroup  fieldKind = "group" // an object with members of its own
	kindJSON   fieldKind = "json"  // anything else
)

type fieldChoice struct {
	Value, Text string
	Chosen      bool
}

// maxNesting is how deep groups may stand in groups; below that it is JSON.
const maxNesting = 4

// A fieldSchema is what a form takes from a JSON Schema.
type fieldSchema struct {
	Type        any                        `json:"type"`
	Title       string                     `json:"title"`
	Description string                     `json:"description"`
	Format      string                     `json:"format"`
	Enum        []json.RawMessage          `json:"enum"`
	Properties  map[string]json.RawMessage `json:"properties"`
	Required    []string                   `json:"required"`
	Items       json.RawMessage            `json:"items"`
	Minimum     *json.Number               `json:"minimum"`
	Maximum     *json.Number               `json:"maximum"`
	MinLength   *int                       `json:"minLength"`
	MaxLength   *int                       `json:"maxLength"`
}

// readSchema reads what a form can use of a schema. One that is written
// otherwise gives a field for JSON.
func readSchema(raw json.RawMessage) (s fieldSchema) {
	if json.Unmarshal(raw, &s) != nil {
		return fieldSchema{}
	}
	return s
}

// onlyType is the one type that values have, beside null; "": several or any.
func (s fieldSchema) onlyType() string {
	var types []string
	switch t := s.Type.(type) {
	case string:
		types = []string{t}
	case []any:
		for _, one := range t {
			if text, ok := one.(string); ok && text != "null" {
				types = append(types, text)
			}
		}
	}
	if len(types) != 1 {
		return ""
	}
	return types[0]
}

// A fieldMaker makes the fields of a page and numbers them.
type fieldMaker struct{ made int }

// fields makes the fields of settings for a form that sets them at a level.
func (m *fieldMaker) fields(values []api.ConfigValue, level string) []*settingField {
	list := make([]*settingField, 0, len(values))
	for _, v := range values {
		s := readSchema(v.Schema)
		if len(v.Types) > 0 { // with what the schema refers to
			var types []any
			for _, t := range v.Types {
				types = append(types, t)
			}
			s.Type, s.Enum = types, v.Enum
		}
		s.Title, s.Description = v.Title, v.Description
		f := m.field(v, v.Key, s, v.Value, "", 0)
		f.Needed = v.Required
		f.Here = v.From == level && !v.Locked
		for _, p := range v.Problems {
			f.tell(p)
		}
		list = append(list, f)
	}
	return list
}

func (m *fieldMaker) field(v api.ConfigValue, key string, s fieldSchema, was json.RawMessage, above string, depth int) *settingField {
	m.made++
	f := &settingField{Value: v, key: key, was: was, Path: above + "/" + pointerToken.Replace(key), ID: "f" + strconv.Itoa(m.made), Label: cmp.Or(s.Title, key), Help: s.Description, Secret: v.Secret}
	f.Name = v.Package + ":" + f.Path
	if f.Secret {
		f.Name = secretField + f.Name // the pages know secrets by their names
	}
	f.Kind, f.Input = kindJSON, "text"
	switch t := s.onlyType(); {
	case len(s.Enum) > 0 && !v.Secret:
		f.Kind = kindChoice
		for _, e := range s.Enum {
			f.Choices = append(f.Choices, fieldChoice{Value: canonical(e), Text: plainText(e), Chosen: was != nil && canonical(e) == canonical(was)})
		}
	case t == "string":
		f.text(s)
	case t == "integer" || t == "number":
		f.Kind, f.items = kindNumber, t
		f.Limits = between(s.Minimum, s.Maximum)
	case t == "boolean" && !v.Secret:
		f.Kind = kindYesNo
		f.Choices = []fieldChoice{{"true", "Yes", canonical(was) == "true"}, {"false", "No", canonical(was) == "false"}}
	case t == "array" && !v.Secret:
		items := readSchema(s.Items)
		if simple := items.onlyType(); simple == "string" || simple == "integer" || simple == "number" {
			f.Kind, f.items = kindList, simple
		}
	case t == "object" && len(s.Properties) > 0 && depth < maxNesting && !v.Secret:
		f.Kind = kindGroup
		var members map[string]json.RawMessage
		_ = json.Unmarshal(was, &members) // what is no object has no members
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			member := m.field(v, name, readSchema(s.Properties[name]), members[name], f.Path, depth+1)
			member.Needed = slices.Contains(s.Required, name)
			f.Fields = append(f.Fields, member)
		}
	}
	f.Text = f.shown()
	f.Shown = fingerprint(f.Text)
	return f
}

// fingerprint tells texts apart, in few characters. A form sends those of what
// it showed, so that what somebody else has changed meanwhile isn't taken for a
// change of this owner's back to what was there before.
func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(lines(text)))
	return hex.EncodeToString(sum[:8])
}

// text chooses the input for a string.
func (f *settingField) text(s fieldSchema) {
	f.Kind = kindText
	const long = 200 // characters, from which on a value wants several lines
	switch {
	case f.Secret:
		f.Input = "password"
	case s.Format == "email" || s.Format == "idn-email":
		f.Input = "email"
	case s.Format == "uri" || s.Format == "url" || s.Format == "iri":
		f.Input = "url"
	case s.Format == "date" && (f.was == nil || isDate(plainText(f.was))): // a browser would not show another text, and send none
		f.Input = "date"
	case s.MaxLength != nil && *s.MaxLength > long || s.Format == "textarea" || strings.Contains(plainText(f.was), "\n"):
		f.Kind = kindLong
	}
	switch least, most := s.MinLength, s.MaxLength; {
	case least != nil && *least > 1 && most != nil:
		f.Limits = fmt.Sprintf("%d to %d characters", *least, *most)
	case least != nil && *least > 1:
		f.Limits = fmt.Sprintf("at least %d characters", *least)
	case most != nil:
		f.Limits = fmt.Sprintf("at most %d characters", *most)
	}
}

func isDate(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

func between(least, most *json.Number) string {
	switch {
	case least != nil && most != nil:
		return fmt.Sprintf("%s to %s", *least, *most)
	case least != nil:
		return "at least " + string(*least)
	case most != nil:
		return "at most " + string(*most)
	}
	return ""
}

// shown is what stands in a field before anybody types.
func (f *settingField) shown() string {
	if f.was == nil {
		return ""
	}
	switch f.Kind {
	case kindList:
		var items []json.RawMessage
		if json.Unmarshal(f.was, &items) == nil {
			lines := make([]string, len(items))
			for i, item := range items {
				lines[i] = plainText(item)
			}
			return strings.Join(lines, "\n")
		}
	case kindJSON:
		var b bytes.Buffer
		if json.Indent(&b, f.was, "", "  ") == nil {
			return b.String()
		}
	case kindChoice, kindYesNo:
		return canonical(f.was)
	}
	return plainText(f.was)
}

// plainText shows a simple value without quotes.
func plainText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// canonical writes equal values alike.
func canonical(raw json.RawMessage) string {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return string(raw)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

var pointerToken = strings.NewReplacer("~", "~0", "/", "~1")

// tell puts a problem beside the field that it is about, and reports whether
// there is one.
func (f *settingField) tell(p api.ConfigProblem) bool {
	if p.Path != f.Path && !strings.HasPrefix(p.Path, f.Path+"/") {
		return false
	}
	for _, member := range f.Fields {
		if member.tell(p) {
			return true
		}
	}
	f.Wrong = append(f.Wrong, p.Message)
	return true
}

// read takes over what was typed, and returns the value that it means; nil
// when nothing is filled in. What can't be meant is told beside the field.
func (f *settingField) read(form func(name string) string) (value any, ok bool) {
	if f.Kind == kindGroup {
		return f.readGroup(form)
	}
	f.Text = lines(form(f.Name))
	if shown := form(shownField + f.Name); shown != "" && !f.Secret {
		if f.Shown = shown; fingerprint(f.Text) == shown { // not touched: it is what it is now
			f.Text = f.shown()
			f.choose()
			if f.was == nil {
				return nil, true
			}
			return f.was, true
		}
	}
	f.choose()
	if f.Kind != kindText && f.Kind != kindLong && strings.TrimSpace(f.Text) == "" {
		return nil, true
	}
	switch f.Kind {
	case kindText, kindLong:
		if f.Text == "" {
			return nil, true
		}
		return f.Text, true
	case kindNumber:
		return f.number(strings.TrimSpace(f.Text))
	case kindList:
		return f.readList()
	case kindChoice, kindYesNo:
		if !slices.ContainsFunc(f.Choices, func(c fieldChoice) bool { return c.Chosen }) {
			return f.wrong("is not among the choices")
		}
	}
	if !json.Valid([]byte(f.Text)) {
		return f.wrong("is not JSON")
	}
	return json.RawMessage(f.Text), true
}

// shownField begins the names of the fields that hold fingerprints.
const shownField = "shown."

// choose marks the choice that the text says.
func (f *settingField) choose() {
	for i := range f.Choices {
		f.Choices[i].Chosen = f.Choices[i].Value == f.Text
	}
}

// lines has all line ends in one form: browsers send them as CR LF.
func lines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// untouched reports whether the text is still what was shown.
func (f *settingField) untouched() bool {
	return f.Kind != kindGroup && f.was != nil && f.Text == lines(f.shown())
}

func (f *settingField) wrong(says string) (any, bool) {
	f.Wrong = append(f.Wrong, f.Label+" "+says+".")
	return nil, false
}

func (f *settingField) number(text string) (any, bool) {
	var n json.Number
	if json.Unmarshal([]byte(text), &n) != nil || strings.HasPrefix(text, `"`) {
		if f.items == "integer" {
			return f.wrong("must be a whole number")
		}
		return f.wrong("must be a number, such as 2.5")
	}
	return n, true
}

func (f *settingField) readList() (any, bool) {
	list := []any{}
	for line := range strings.Lines(f.Text) {
		text := strings.TrimSpace(line)
		if text == "" {
			continue
		}
		if f.items == "string" {
			list = append(list, text)
			continue
		}
		n, ok := f.number(text)
		if !ok {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

func (f *settingField) readGroup(form func(string) string) (any, bool) {
	object := map[string]any{}
	var before map[string]json.RawMessage
	_ = json.Unmarshal(f.was, &before) // what is no object has no members
	for name, raw := range before {
		object[name] = raw // one that the schema doesn't name stays
	}
	all := true
	for _, member := range f.Fields {
		value, ok := member.read(form)
		all = all && ok
		delete(object, member.key)
		if ok && value != nil {
			object[member.key] = value
		}
	}
	if len(object) == 0 {
		return nil, all
	}
	return object, all
}

// emptied is what it means to have emptied a field that held something; nil:
// take the value away. A default or a value from elsewhere would come back, so
// that an empty one is set where there can be one.
func (f *settingField) emptied() any {
	comesBack := f.Value.Default != nil || f.Value.Shared != "" || !f.Here
	switch {
	case !comesBack:
		return nil
	case f.Kind == kindList:
		return []any{}
	case f.Kind == kindText || f.Kind == kindLong:
		return ""
	}
	return nil
}
