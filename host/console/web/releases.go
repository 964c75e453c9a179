package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

var releases = &place{
	Path: "/releases", Title: "Releases", Icon: "releases",
	pages: slices.Concat([]page{
		{method: "GET", path: "/releases", scope: console.ScopeRead, serve: (*request).releasesPage},
	}, promotePages, historyPages),
}

const (
	historyPage = 50 // revisions on one page of the history
	waitingMost = 20 // betas that the page names
)

type releasesView struct {
	Waiting      []api.Mount // with something in the beta
	MoreWaiting  int
	Revisions    []api.Revision
	Newest       bool   // the newest revision is on this page
	Older, Newer uint64 // where the next pages begin; 0: there is none
	Total        uint64
}

func (r *request) releasesPage() error {
	var before uint64
	if text := r.FormValue("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 62); err != nil {
			return &console.Error{Status: http.StatusBadRequest, Code: "bad_request", Message: "That is no page of the history."}
		}
	}
	head, err := r.head()
	if err != nil {
		return err
	}
	v := releasesView{Newest: before == 0 || before > head, Total: head}
	if err := r.get(fmt.Sprintf("/revisions?before=%d&limit=%d", before, historyPage), &v.Revisions); err != nil {
		return err
	}
	if n := len(v.Revisions); n > 0 {
		if last := v.Revisions[n-1].Number; last > 1 {
			v.Older = last
		}
		v.Revisions[0].Head = v.Revisions[0].Number == head
		if first := v.Revisions[0].Number; first < head {
			v.Newer = min(first+historyPage+1, head+1)
		}
	}
	if v.Newest {
		if err := r.waiting(&v); err != nil {
			return err
		}
	}
	return r.show(layout{Title: "Releases", Template: "releases", Data: v})
}

// waiting lists the betas that could be promoted.
func (r *request) waiting(v *releasesView) error {
	var mounts []api.Mount
	if err := r.get("/mounts", &mounts); err != nil {
		return err
	}
	for _, m := range mounts {
		if m.Beta == nil {
			continue
		}
		if len(v.Waiting) == waitingMost {
			v.MoreWaiting++
			continue
		}
		v.Waiting = append(v.Waiting, m)
	}
	return nil
}
