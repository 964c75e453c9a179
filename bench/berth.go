package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/console/client"
	"github.com/berth-host/berth/modules"
	"github.com/berth-host/berth/registry/publish"
)

// A berth is a server in a process of its own, and its owner.
type berth struct {
	*process
	*client.Client
	data string
}

// berth starts a server on a data folder, which is made if it isn't there.
func (b *bench) berth(ctx context.Context, data string) (*berth, error) {
	data = filepath.Join(b.dir, data)
	args := []string{"serve", "-data", data}
	if b.profile != "" {
		args = append(args, "-cpuprofile", b.profile+"."+filepath.Base(data))
	}
	p, err := start(ctx, args...)
	if err != nil {
		return nil, err
	}
	c, err := client.Find(data)
	if err != nil {
		return nil, err
	}
	return &berth{process: p, Client: c, data: data}, nil
}

func (s *berth) url(path string) string { return s.urls[0] + path }

func (s *berth) install(ctx context.Context, zip []byte) error {
	resp, err := s.Do(ctx, http.MethodPost, "/packages/upload?name=p.zip", nil, bytes.NewReader(zip))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var job console.Job
	if err := json.NewDecoder(resp.Body).Decode(&job); err != nil {
		return err
	}
	if job, err = s.Follow(ctx, job, func(console.Job) {}); err != nil {
		return err
	}
	if job.Error != nil {
		return job.Error
	}
	return nil
}

func (s *berth) mount(ctx context.Context, pkg, path, slot string) (api.Mount, error) {
	var m api.Mount
	err := s.Call(ctx, http.MethodPost, "/mounts", nil, api.MountRequest{Package: pkg, Path: path, Slot: slot}, &m)
	return m, err
}

func (s *berth) open(ctx context.Context) error {
	open := true
	return s.Call(ctx, http.MethodPatch, "/site", nil, api.SiteChange{Open: &open}, nil)
}

// ask expects a hello from a path.
func (s *berth) ask(path string) error {
	resp, err := http.Get(s.url(path))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "hello") {
		return fmt.Errorf("%s answers %s: %.200s; want a hello", path, resp.Status, body)
	}
	return nil
}

// pack makes the zip of a bundled package, with texts of its manifest replaced.
func (b *bench) pack(ctx context.Context, folder string, replace ...string) ([]byte, error) {
	sub, err := fs.Sub(modules.FS, folder)
	if err != nil {
		return nil, err
	}
	manifest, err := fs.ReadFile(sub, "berth.toml")
	if err != nil {
		return nil, err
	}
	return b.packFiles(ctx, sub, map[string][]byte{"berth.toml": []byte(strings.NewReplacer(replace...).Replace(string(manifest)))})
}

// packFiles makes the zip of a package of files, some of them changed. base may
// be nil.
func (b *bench) packFiles(ctx context.Context, base fs.FS, changed map[string][]byte) ([]byte, error) {
	dir, err := os.MkdirTemp(b.dir, "package-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if base != nil {
		if err := os.CopyFS(dir, base); err != nil {
			return nil, err
		}
	}
	for name, content := range changed {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return nil, err
		}
	}
	var zip bytes.Buffer
	_, err = publish.Pack(ctx, dir, &zip)
	return zip.Bytes(), err
}
