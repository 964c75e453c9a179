package server

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-host/berth/host/console/api"
)

//go:generate go test -run TestLicenses . -update

// TestLicenses compares the licences that are checked in with the modules of
// the program.
func TestLicenses(t *testing.T) {
	dirs := programModules(t)
	list, err := readLicenses()
	if err != nil && !*update {
		t.Fatal(err)
	}
	if *update {
		list = collectLicenses(t, dirs)
		writeLicenses(t, list)
	}
	var have []string
	for _, l := range list {
		have = append(have, l.Module)
		if l.License == "" || len(l.Text) < 200 {
			t.Errorf("%s has no licence that is known: %.100q", l.Module, l.Text)
		}
	}
	if want := slices.Sorted(maps.Keys(dirs)); !slices.Equal(have, want) {
		t.Errorf("licenses.json.gz is for other modules: go generate ./cmd/berth/server\n%v\n%v", have, want)
	}
}

// programModules returns the folders of the modules in the program.
func programModules(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "github.com/berth-host/berth/cmd/berth").Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if path, dir, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			dirs[path] = dir
		}
	}
	return dirs
}

func collectLicenses(t *testing.T, dirs map[string]string) (list []api.License) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(dirs)) {
		text := ""
		for _, pattern := range []string{"LICENSE*", "LICENCE*", "COPYING*", "License*"} {
			if files, _ := filepath.Glob(filepath.Join(dirs[path], pattern)); len(files) > 0 && text == "" {
				b, err := os.ReadFile(files[0])
				if err != nil {
					t.Fatal(err)
				}
				text = string(b)
			}
		}
		list = append(list, api.License{Module: path, License: licenseOf(text), Text: text})
	}
	return list
}

// licenseOf recognises a licence by its words.
func licenseOf(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, known := range []struct{ words, license string }{
		{"Apache License Version 2.0", "Apache-2.0"},
		{"Mozilla Public License Version 2.0", "MPL-2.0"},
		{"Mozilla Public License, version 2.0", "MPL-2.0"},
		{"Neither the name", "BSD-3-Clause"},
		{"Redistributions in binary form must reproduce", "BSD-2-Clause"},
		{"Permission is hereby granted, free of charge", "MIT"},
		{"Permission to use, copy, modify, and/or distribute", "ISC"},
		{"unlicense", "Unlicense"},
		{"CC0", "CC0-1.0"},
	} {
		if strings.Contains(text, known.words) {
			return known.license
		}
	}
	return ""
}

func writeLicenses(t *testing.T, list []api.License) {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.NewEncoder(io.Writer(w)).Encode(list), w.Close(), os.WriteFile("licenses.json.gz", b.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
}
