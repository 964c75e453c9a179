package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// KeptJobs is how many finished jobs are remembered.
const KeptJobs = 200

// JobState says how far a job is.
type JobState string

// The states of a job.
const (
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
	// JobInterrupted is a job that a stop or a crash of the server cut off.
	JobInterrupted JobState = "interrupted"
)

// A Job is a long action as its watchers see it. It belongs to the server: a
// client that goes away and comes back finds it under its ID.
type Job struct {
	ID       string          `json:"id"`
	Kind     string          `json:"kind"` // such as "install"
	Subject  string          `json:"subject"`
	Who      string          `json:"who"`
	State    JobState        `json:"state"`
	Started  time.Time       `json:"started"`
	Ended    time.Time       `json:"ended,omitzero"`
	Progress Progress        `json:"progress"`
	Result   json.RawMessage `json:"result,omitempty"` // of a job that is done
	Error    *Error          `json:"error,omitempty"`  // of a job that failed
	Version  uint64          `json:"version"`          // raised by every change
	// Again says that the job can be started again as it was, when it has ended.
	Again bool `json:"again,omitempty"`
}

// A JobStore keeps jobs beyond the life of a server. A job is put when it
// starts, and again when it ends.
type JobStore interface {
	Put(Job) error
	Delete(id string) error
	List() ([]Job, error) // in any order
}

// Progress says what a job is at.
type Progress struct {
	Step  string `json:"step,omitempty"`  // such as "fetching baz.example/baz@v2.1.3"
	Done  int64  `json:"done,omitempty"`  // bytes
	Total int64  `json:"total,omitempty"` // bytes; 0: not known
	Rate  int64  `json:"rate,omitempty"`  // bytes a second since the step began
}

// Jobs runs long actions. Make one with [NewJobs].
type Jobs struct {
	explain func(error) *Error
	store   JobStore // nil: they are forgotten with the server
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	events *Events // nil: nobody is told

	mu   sync.Mutex
	jobs []*runningJob // oldest first
}

type runningJob struct {
	Job
	cancel  context.CancelFunc
	changed chan struct{} // closed and replaced by every change
	told    time.Time     // when watchers last heard of it
	telling bool          // they will, soon
}

// Tell lets every change of a job be told to watchers, as the event "job". It
// is called before the first job starts.
func (j *Jobs) Tell(events *Events) { j.events = events }

// tell tells watchers of a change, soon: progress may come a thousand times a
// second. It is called with the lock held.
func (j *Jobs) tell(job *runningJob) {
	if j.events == nil || job.telling {
		return
	}
	if since := time.Since(job.told); since < jobEventPause && job.State == JobRunning {
		job.telling = true
		time.AfterFunc(jobEventPause-since, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			job.telling = false
			j.tell(job)
		})
		return
	}
	job.told = time.Now()
	said := job.Job
	said.Result = nil // may be large; GET /jobs/{id} has it
	j.events.Publish("job", said)
}

// NewJobs returns an empty list of jobs. explain turns an error into what an
// owner may read; nil from it means that there is nothing better than the
// error's own text.
func NewJobs(explain func(error) *Error) *Jobs {
	ctx, stop := context.WithCancel(context.Background())
	return &Jobs{explain: explain, ctx: ctx, stop: stop}
}

// Restore brings back the jobs of earlier lives of the server, and keeps those
// to come. What ran when the server ended was interrupted. It is called before
// any job starts.
func (j *Jobs) Restore(s JobStore, log *slog.Logger) error {
	kept, err := s.List()
	if err != nil {
		return err
	}
	j.store, j.log = s, log
	slices.SortFunc(kept, func(a, b Job) int { return a.Started.Compare(b.Started) })
	for _, job := range kept {
		ran := job.State == JobRunning
		if ran {
			job.State, job.Ended, job.Error = JobInterrupted, time.Now().UTC(), interrupted(job)
			job.Version++
		}
		j.jobs = append(j.jobs, &runningJob{Job: job, cancel: func() {}, changed: make(chan struct{})})
		if ran {
			j.keep(job)
		}
	}
	return nil
}

func interrupted(job Job) *Error {
	e := &Error{Code: "interrupted", Message: "interrupted by a restart of the server; nothing was half done"}
	if job.Again {
		e.Hint = "start it again: berth jobs again " + job.ID
	}
	return e
}

// keep writes a job to the store. A job goes on though it cannot be kept.
func (j *Jobs) keep(job Job) {
	if j.store == nil {
		return
	}
	if err := j.store.Put(job); err != nil {
		j.log.Error("a job is not remembered", "job", job.ID, "kind", job.Kind, "error", err)
	}
}

// Close cancels all jobs and waits for them.
func (j *Jobs) Close() {
	j.stop()
	j.running.Wait()
}

// Start runs do in the background and returns its job. The context given to
// do ends when the job is cancelled, not when the caller of Start goes away.
func (j *Jobs) Start(kind, subject, who string, do func(ctx context.Context, progress func(Progress)) (any, error)) Job {
	return j.start(Job{Kind: kind, Subject: subject, Who: who}, do)
}

// StartAgainable is Start for a job of which kind and subject say all: it can
// be started again.
func (j *Jobs) StartAgainable(kind, subject, who string, do func(ctx context.Context, progress func(Progress)) (any, error)) Job {
	return j.start(Job{Kind: kind, Subject: subject, Who: who, Again: true}, do)
}

func (j *Jobs) start(begin Job, do func(ctx context.Context, progress func(Progress)) (any, error)) Job {
	ctx, cancel := context.WithCancel(j.ctx)
	begin.ID, begin.State, begin.Started, begin.Version = uuid.NewString(), JobRunning, time.Now().UTC(), 1
	job := &runningJob{Job: begin, cancel: cancel, changed: make(chan struct{})}
	j.mu.Lock()
	j.jobs = append(j.jobs, job)
	forgotten := j.forgetOld()
	j.tell(job)
	started := job.Job
	j.mu.Unlock()
	j.keep(started)
	j.forget(forgotten)

	j.running.Go(func() {
		defer cancel()
		began := time.Now()
		result, err := do(ctx, func(p Progress) {
			j.change(job, func() {
				if p.Step != job.Progress.Step {
					began = time.Now()
				}
				if took := time.Since(began); took > 0 {
					p.Rate = int64(float64(p.Done) / took.Seconds())
				}
				job.Progress = p
			})
		})
		j.mu.Lock()
		ended := job.Job
		j.mu.Unlock()
		j.finish(&ended, ctx, result, err)
		ended.Version++
		j.keep(ended) // first: what somebody has seen ended stays so
		j.change(job, func() { ended.Version, job.Job = job.Version, ended })
	})
	return started
}

// finish writes how a job ended.
func (j *Jobs) finish(job *Job, ctx context.Context, result any, err error) {
	job.Ended = time.Now().UTC()
	if err == nil {
		job.Result, err = json.Marshal(result)
	}
	switch {
	case err == nil:
		job.State = JobDone
	case errors.Is(err, context.Canceled) && j.ctx.Err() != nil:
		job.State, job.Error = JobInterrupted, interrupted(*job)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		job.State = JobCancelled
		job.Error = &Error{Code: "cancelled", Message: "cancelled; nothing was changed"}
	default:
		job.State = JobFailed
		if job.Error = j.explain(err); job.Error == nil {
			job.Error = &Error{Code: "failed", Message: err.Error()}
		}
	}
}

func (j *Jobs) change(job *runningJob, f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
	job.Version++
	close(job.changed)
	job.changed = make(chan struct{})
	j.tell(job)
}

// forgetOld drops the oldest finished jobs above [KeptJobs], and returns their
// IDs.
func (j *Jobs) forgetOld() (forgotten []string) {
	for i := 0; len(j.jobs) > KeptJobs && i < len(j.jobs); {
		if j.jobs[i].State == JobRunning {
			i++
			continue
		}
		forgotten = append(forgotten, j.jobs[i].ID)
		j.jobs = slices.Delete(j.jobs, i, i+1)
	}
	return forgotten
}

func (j *Jobs) forget(ids []string) {
	if j.store == nil {
		return
	}
	for _, id := range ids {
		if err := j.store.Delete(id); err != nil {
			j.log.Error("an old job is not forgotten", "job", id, "error", err)
		}
	}
}

// List returns all jobs, newest first.
func (j *Jobs) List() []Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := make([]Job, 0, len(j.jobs))
	for _, job := range slices.Backward(j.jobs) {
		list = append(list, job.Job)
	}
	return list
}

// Wait returns the job once its version is above after, or as it is when ctx ends.
func (j *Jobs) Wait(ctx context.Context, id string, after uint64) (Job, error) {
	for {
		j.mu.Lock()
		i := slices.IndexFunc(j.jobs, func(job *runningJob) bool { return job.ID == id })
		if i < 0 {
			j.mu.Unlock()
			return Job{}, &Error{Status: 404, Code: "not_found", Message: fmt.Sprintf("there is no job %q", id), Hint: "berth jobs lists them"}
		}
		job, changed := j.jobs[i].Job, j.jobs[i].changed
		j.mu.Unlock()
		if job.Version > after || job.State != JobRunning {
			return job, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return job, nil
		}
	}
}

// Cancel asks a job to stop. One that has ended stays as it is.
func (j *Jobs) Cancel(ctx context.Context, id string) (Job, error) {
	job, err := j.Wait(ctx, id, 0)
	if err != nil {
		return job, err
	}
	j.mu.Lock()
	for _, running := range j.jobs {
		if running.ID == id {
			running.cancel()
		}
	}
	j.mu.Unlock()
	if job.State != JobRunning {
		return job, nil
	}
	return j.Wait(ctx, id, job.Version)
}
