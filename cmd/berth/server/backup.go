package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/store/bolt"
)

func (s *Server) backupRoutes() []console.Route {
	return []console.Route{
		console.Stream("GET", "/backup", console.ScopeAdmin, "Everything the server remembers, as a tar stream", "application/x-tar", s.backup).Audited().Confirmed(),
		console.Action("POST", "/check", console.ScopeAdmin, "Read everything stored and report damage; a job", s.check),
		console.Action("GET", "/restore", console.ScopeAdmin, "What is to be restored at the next start, and what backups have replaced", s.getRestore),
		console.Upload("POST", "/restore", console.ScopeAdmin, "Check the backup in the body and lay it ready for the next start; a job", s.stageRestore).Confirmed(),
		console.Action("DELETE", "/restore", console.ScopeAdmin, "Forget the backup that is laid ready", s.forgetRestore),
		console.Action("DELETE", "/restore/kept/{name}", console.ScopeAdmin, "Delete what a backup has replaced", s.deleteKept).Confirmed(),
	}
}

func (s *Server) backup(w http.ResponseWriter, r *http.Request, _ console.Nothing) error {
	w.Header().Set("Content-Disposition", `attachment; filename="berth-`+time.Now().UTC().Format("2006-01-02-1504")+`.tar"`)
	if err := s.store.Backup(r.Context(), w); err != nil {
		s.log.Error("backup failed", "error", err)
		panic(http.ErrAbortHandler) // a backup that ends early must not look whole
	}
	return nil
}

func (s *Server) check(ctx context.Context, _ console.Nothing) (console.Job, error) {
	return s.jobs.Start("check", "everything stored", console.Caller(ctx), func(ctx context.Context, progress func(console.Progress)) (any, error) {
		ctx = store.WithProgress(ctx, func(done, total int64) {
			progress(console.Progress{Step: "reading everything stored", Done: done, Total: total})
		})
		found := api.Check{Damages: []api.Damage{}}
		for d := range s.store.Check(ctx) {
			found.Damages = append(found.Damages, api.Damage{Subject: d.Subject, Problem: d.Err.Error()})
		}
		return found, ctx.Err()
	}), nil
}

// maxBackup is the size of the largest backup that is taken, in bytes.
const maxBackup = 64 << 30

// uploadPattern names files in the data folder that hold an upload.
const uploadPattern = "restore-upload-*"

// stageRestore takes a backup. Nothing of what the server remembers changes
// before it is started again.
func (s *Server) stageRestore(w http.ResponseWriter, r *http.Request, _ console.Nothing) (console.Job, error) {
	file, size, err := s.spool(http.MaxBytesReader(w, r.Body, maxBackup))
	if err != nil {
		return console.Job{}, &console.Error{Status: http.StatusBadRequest, Code: "bad_upload", Message: fmt.Sprintf("the backup did not arrive: %v", err), Hint: "nothing was changed; try again"}
	}
	return s.jobs.Start("restore", "a backup", console.Caller(r.Context()), func(ctx context.Context, progress func(console.Progress)) (any, error) {
		defer os.Remove(file)
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		read := &countingReader{r: f, tell: func(done int64) {
			progress(console.Progress{Step: "checking the backup", Done: done, Total: size})
		}}
		if err := bolt.Stage(ctx, read, s.startup.Data); err != nil {
			return nil, &console.Error{Status: http.StatusUnprocessableEntity, Code: "bad_backup", Message: err.Error(), Hint: "nothing was changed; a backup is a file that berth backup or the console has made"}
		}
		return s.getRestore(ctx, console.Nothing{})
	}), nil
}

// spool writes an upload to a file of the data folder.
func (s *Server) spool(r io.Reader) (name string, size int64, err error) {
	f, err := os.CreateTemp(s.startup.Data, uploadPattern)
	if err != nil {
		return "", 0, err
	}
	size, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", 0, errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), size, nil
}

type countingReader struct {
	r    io.Reader
	done int64
	tell func(done int64)
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.done += int64(n)
	c.tell(c.done)
	return n, err
}

func (s *Server) getRestore(context.Context, console.Nothing) (api.Restore, error) {
	staged, err := bolt.Staged(s.startup.Data)
	if err != nil {
		return api.Restore{}, err
	}
	answer := api.Restore{Staged: staged, Kept: []api.KeptStore{}}
	entries, err := os.ReadDir(s.startup.Data)
	if err != nil {
		return answer, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), bolt.AsidePrefix) || !e.IsDir() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return answer, err
		}
		answer.Kept = append(answer.Kept, api.KeptStore{Name: e.Name(), Time: info.ModTime(), Size: folderSize(filepath.Join(s.startup.Data, e.Name()))})
	}
	slices.SortFunc(answer.Kept, func(a, b api.KeptStore) int { return cmp.Compare(b.Name, a.Name) })
	return answer, nil
}

func folderSize(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // what can't be read counts nothing
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

func (s *Server) forgetRestore(context.Context, console.Nothing) (console.Nothing, error) {
	return console.Nothing{}, bolt.Unstage(s.startup.Data)
}

func (s *Server) deleteKept(ctx context.Context, in api.KeptRef) (console.Nothing, error) {
	now, err := s.getRestore(ctx, console.Nothing{})
	if err != nil {
		return console.Nothing{}, err
	}
	if !slices.ContainsFunc(now.Kept, func(k api.KeptStore) bool { return k.Name == in.Name }) {
		return console.Nothing{}, &console.Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("nothing is kept as %q", in.Name)}
	}
	return console.Nothing{}, os.RemoveAll(filepath.Join(s.startup.Data, in.Name))
}

// tellRestored looks after what a restore has left: it tells the owner where
// the former store is, and deletes uploads that were cut off.
func (s *Server) tellRestored(kept string) {
	if kept != "" {
		s.log.Warn("a backup was restored; what was stored before is kept", "folder", filepath.Join(s.startup.Data, kept))
	}
	left, err := filepath.Glob(filepath.Join(s.startup.Data, uploadPattern))
	if err != nil {
		return // a pattern in the name of the data folder: the files stay
	}
	for _, file := range left {
		if err := os.Remove(file); err != nil {
			s.log.Warn("an upload that was cut off cannot be deleted", "file", file, "error", err)
		}
	}
}
