package web

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
)

// baseField is the field of a form that holds the revision which its owner has
// looked at. With it, nothing that somebody else did meanwhile is overwritten.
const baseField = "base"

// base is the revision that the owner who sends a form has looked at; 0: the
// form does not say.
func (r *request) base() uint64 {
	if r.Method == http.MethodGet {
		return 0
	}
	number, err := strconv.ParseUint(r.PostFormValue(baseField), 10, 63)
	if err != nil {
		return 0
	}
	return number
}

// head is the newest revision, for the field of a form.
func (r *request) head() (uint64, error) {
	var list []api.Revision
	if err := r.get("/revisions?limit=1", &list); err != nil || len(list) == 0 {
		return 0, err
	}
	return list[0].Number, nil
}

// A staleView says on a page that is open that the site has changed since.
type staleView struct {
	Base uint64
	Head *api.Revision // nil: it has not
}

func (r *request) stalePart() error {
	base, err := strconv.ParseUint(cmp.Or(r.FormValue("base"), "0"), 10, 63)
	if err != nil {
		return noRevision(r.FormValue("base"))
	}
	v := staleView{Base: base}
	var list []api.Revision
	if err := r.get("/revisions?limit=1", &list); err != nil {
		return err
	}
	if len(list) > 0 && list[0].Number > base {
		v.Head = &list[0]
	}
	return r.part("stale", v)
}

// A conflictView shows what somebody else did to what a form wants to change.
type conflictView struct {
	Error     *console.Error
	Revisions []api.Revision // since the owner looked, newest first
	More      bool           // there are older ones
	Changes   []changed
	Action    string
	Fields    []field // of the form, to send it again
	Secret    bool    // the form holds a secret, which is not sent to and fro
	Back      string
}

type field struct{ Name, Value string }

// maxTheirs is how many revisions of others a conflict lists.
const maxTheirs = 10

// showConflict says that somebody else was faster, shows what they did, and
// offers to do one's own change on top of that.
func (r *request) showConflict(e *console.Error) error {
	base := r.base()
	head, err := r.head()
	if err != nil {
		return err
	}
	v := conflictView{Error: e, Action: r.URL.Path, Back: "/"}
	if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
		v.Back = localPath(from.RequestURI())
	}
	if err := r.get(fmt.Sprintf("/revisions?limit=%d", maxTheirs+1), &v.Revisions); err != nil {
		return err
	}
	v.Revisions = slices.DeleteFunc(v.Revisions, func(rev api.Revision) bool { return rev.Number <= base })
	if v.More = len(v.Revisions) > maxTheirs; v.More {
		v.Revisions = v.Revisions[:maxTheirs]
	}
	if v.Changes, err = r.changesBetween(base, head); err != nil {
		return err
	}
	for name, values := range r.PostForm {
		v.Secret = v.Secret || strings.HasPrefix(name, secretField)
		for _, value := range values {
			if name == baseField {
				value = strconv.FormatUint(head, 10)
			}
			v.Fields = append(v.Fields, field{name, value})
		}
	}
	slices.SortStableFunc(v.Fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return r.answer(http.StatusConflict, layout{Title: "Somebody else changed this too", Template: "conflict", Data: v})
}
