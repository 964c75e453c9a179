package console

import (
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

var pathParam = regexp.MustCompile(`\{([a-z]+)(\.\.\.)?\}`)

// OpenAPI describes a console with the given routes, its own included, as an
// OpenAPI 3.1 document (JSON, indented). Equal routes give equal documents.
func OpenAPI(routes []Route) ([]byte, error) { return describe(slices.Concat(routes, ownRoutes())) }

func describe(routes []Route) ([]byte, error) {
	schemas := map[string]any{}
	paths := map[string]map[string]any{}
	for _, r := range routes {
		path := pathParam.ReplaceAllString(r.path(), "{$1}")
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(r.Method)] = operation(r, schemas)
	}
	schemas["Error"] = map[string]any{"type": "object", "required": []string{"error"}, "properties": map[string]any{
		"error": map[string]any{"type": "object", "required": []string{"code", "message"}, "properties": map[string]any{
			"code": map[string]any{"type": "string"}, "message": map[string]any{"type": "string"}, "hint": map[string]any{"type": "string"}, "details": map[string]any{}}}}}
	return json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "berth", "version": "v1", "description": "The owner's API. Every action of the console and of the command line goes through it. A change to the site may say, in the header " + BaseHeader + ", which revision its owner has looked at: if what it touches was changed since, it is refused with the code conflict."},
		"paths":   paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		"security": []any{map[string]any{"token": []string{}}},
	}, "", "  ")
}

func (c *Console) openAPI(w http.ResponseWriter, _ *http.Request) error {
	b, err := describe(c.routes)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaJSON)
	_, _ = w.Write(b) // the reader may be gone
	return nil
}

func operation(r Route, schemas map[string]any) map[string]any {
	op := map[string]any{"summary": r.Summary, "x-scope": r.Scope}
	var params []any
	body := map[string]any{}
	for i := range r.in.NumField() {
		f := r.in.Field(i)
		schema := schemaOf(f.Type, schemas)
		switch {
		case f.Tag.Get("path") != "":
			params = append(params, map[string]any{"name": f.Tag.Get("path"), "in": "path", "required": true, "schema": schema})
		case f.Tag.Get("query") != "":
			params = append(params, map[string]any{"name": f.Tag.Get("query"), "in": "query", "schema": schema})
		default:
			if name, _ := jsonName(f); name != "" {
				body[name] = schema
			}
		}
	}
	if params != nil {
		op["parameters"] = params
	}
	if r.body != "" {
		op["requestBody"] = content(r.body, map[string]any{})
	} else if len(body) > 0 {
		op["requestBody"] = content(mediaJSON, map[string]any{"type": "object", "additionalProperties": false, "properties": body})
	}
	if r.Scope == ScopeAnybody {
		op["security"] = []any{}
	}
	schema := map[string]any{}
	if r.out != nil {
		schema = schemaOf(r.out, schemas)
	}
	answer := content(r.mediaType, schema)
	answer["description"] = "done"
	failed := content(mediaJSON, map[string]any{"$ref": "#/components/schemas/Error"})
	failed["description"] = "refused or failed"
	op["responses"] = map[string]any{"200": answer, "default": failed}
	return op
}

func content(mediaType string, schema any) map[string]any {
	return map[string]any{"content": map[string]any{mediaType: map[string]any{"schema": schema}}}
}

func jsonName(f reflect.StructField) (name string, optional bool) {
	tag := f.Tag.Get("json")
	name, opts, _ := strings.Cut(tag, ",")
	if name == "-" || !f.IsExported() || f.Tag.Get("path") != "" || f.Tag.Get("query") != "" {
		return "", false
	}
	if name == "" {
		name = f.Name
	}
	return name, strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
}

// schemaOf describes a Go type as JSON Schema. Named structs become components.
func schemaOf(t reflect.Type, schemas map[string]any) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return map[string]any{}
	case t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Int32, reflect.Uint32, reflect.Uint8:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return map[string]any{"type": "string", "contentEncoding": "base64"}
		}
		items := schemaOf(t.Elem(), schemas)
		if t.Elem() == reflect.TypeFor[*float64]() { // a gap in a series
			items = map[string]any{"type": []string{"number", "null"}}
		}
		return map[string]any{"type": "array", "items": items}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), schemas)}
	case reflect.Struct:
		return structSchema(t, schemas)
	case reflect.Interface:
		return map[string]any{}
	}
	panic("BUG: no JSON schema for " + t.String())
}

func structSchema(t reflect.Type, schemas map[string]any) map[string]any {
	if t.NumField() == 0 {
		return map[string]any{"type": "object"}
	}
	name := t.String()[strings.LastIndex(t.String(), ".")+1:]
	if pkg := t.PkgPath(); pkg != "" {
		name = pkg[strings.LastIndex(pkg, "/")+1:] + "." + name
	}
	ref := map[string]any{"$ref": "#/components/schemas/" + name}
	if _, ok := schemas[name]; ok {
		return ref
	}
	properties := map[string]any{}
	schemas[name] = properties // ends recursion
	var required []string
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		if key, optional := jsonName(f); key != "" {
			properties[key] = schemaOf(f.Type, schemas)
			if !optional {
				required = append(required, key)
			}
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if required != nil {
		schema["required"] = required
	}
	schemas[name] = schema
	return ref
}
