package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/registry/store"
)

// jobSpace is the namespace in which jobs are kept, by ID.
const jobSpace = "server/jobs"

// maxKeptResult is the size of the largest result that is kept, in bytes: a
// larger one is of use only while the server runs.
const maxKeptResult = 64 << 10

// storedJobs keeps jobs in the store.
type storedJobs struct{ data store.Data }

func (s storedJobs) Put(job console.Job) error {
	if len(job.Result) > maxKeptResult {
		job.Result = nil
	}
	b, err := json.Marshal(job)
	if err != nil {
		return err
	}
	_, err = s.data.Put(context.Background(), jobSpace, job.ID, b, store.AnyRevision)
	return err
}

func (s storedJobs) Delete(id string) error {
	return s.data.Delete(context.Background(), jobSpace, id, store.AnyRevision)
}

func (s storedJobs) List() ([]console.Job, error) {
	var jobs []console.Job
	after := ""
	for {
		page, err := s.data.List(context.Background(), jobSpace, "", after, 0)
		if err != nil || len(page) == 0 {
			return jobs, err
		}
		for _, e := range page {
			after = e.Key
			var job console.Job
			if err := json.Unmarshal(e.Value, &job); err == nil { // no server stays down for an old job
				jobs = append(jobs, job)
			}
		}
	}
}

// retryJob starts a job again that has ended: one that failed, was cancelled
// or was cut off by a restart.
func (s *Server) retryJob(ctx context.Context, in api.JobRef) (console.Job, error) {
	job, err := s.jobs.Wait(ctx, in.ID, 0)
	if err != nil {
		return job, err
	}
	refuse := func(message, hint string) (console.Job, error) {
		return console.Job{}, &console.Error{Status: http.StatusConflict, Code: "not_again", Message: message, Hint: hint}
	}
	switch {
	case job.State == console.JobRunning:
		return refuse("the job still runs", "berth jobs "+job.ID+" watches it")
	case !job.Again:
		return refuse(fmt.Sprintf("the server does not have what %s %s began with any more", job.Kind, job.Subject), "begin it as you did the first time")
	case job.Kind == "install":
		return s.install(ctx, api.Install{Source: job.Subject})
	case job.Kind == "plan":
		return s.makePlan(ctx, api.Install{Source: job.Subject})
	}
	return console.Job{}, errors.New("BUG: a job of kind " + job.Kind + " cannot be started again")
}
