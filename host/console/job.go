package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	jobs []*runningJob // oldest first
}

type runningJob struct {
	Job
	cancel  context.CancelFunc
	changed chan struct{} // closed and replaced by every change
}

// NewJobs returns an empty list of jobs. explain turns an error into what an
// owner may read; nil from it means that there is nothing better than the
// error's own text.
func NewJobs(explain func(error) *Error) *Jobs {
	ctx, stop := context.WithCancel(context.Background())
	return &Jobs{explain: explain, ctx: ctx, stop: stop}
}

// Close cancels all jobs and waits for them.
func (j *Jobs) Close() {
	j.stop()
	j.running.Wait()
}

// Start runs do in the background and returns its job. The context given to
// do ends when the job is cancelled, not when the caller of Start goes away.
func (j *Jobs) Start(kind, subject, who string, do func(ctx context.Context, progress func(Progress)) (any, error)) Job {
	ctx, cancel := context.WithCancel(j.ctx)
	job := &runningJob{
		Job:    Job{ID: uuid.NewString(), Kind: kind, Subject: subject, Who: who, State: JobRunning, Started: time.Now().UTC(), Version: 1},
		cancel: cancel, changed: make(chan struct{}),
	}
	j.mu.Lock()
	j.jobs = append(j.jobs, job)
	j.forgetOld()
	started := job.Job
	j.mu.Unlock()

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
		j.change(job, func() { j.finish(job, ctx, result, err) })
	})
	return started
}

// finish is called with the lock held.
func (j *Jobs) finish(job *runningJob, ctx context.Context, result any, err error) {
	job.Ended = time.Now().UTC()
	if err == nil {
		job.Result, err = json.Marshal(result)
	}
	switch {
	case err == nil:
		job.State = JobDone
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
}

// forgetOld drops the oldest finished jobs above [KeptJobs].
func (j *Jobs) forgetOld() {
	for i := 0; len(j.jobs) > KeptJobs && i < len(j.jobs); {
		if j.jobs[i].State == JobRunning {
			i++
			continue
		}
		j.jobs = slices.Delete(j.jobs, i, i+1)
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
