package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/berth-host/berth/registry/revision"
)

// The options of a start that the owner may ask for when something keeps the
// server from running: they are for one start, and change nothing that is
// remembered.
const (
	// OptionWithout, with =PACKAGE@VERSION, leaves out the mounts that use it.
	// Where a filter of the whole site does, all of the site answers 503.
	OptionWithout = "without"
	// OptionWithoutNew leaves out in the same way what uses anything that the
	// last good revision does not.
	OptionWithoutNew = "without-new"
)

// A leftOut says which package versions take no part in this start.
type leftOut struct {
	without map[string]bool // package@version
	known   map[string]bool // the only ones that take part; nil: all
	routes  []string        // of the mounts that were left out, with their slots
}

// leaveOut reads the options of the start.
func (s *Server) leaveOut(ctx context.Context) error {
	s.leftOut.without = map[string]bool{}
	for _, option := range s.start.Options {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case OptionWithout:
			s.leftOut.without[value] = true
		case OptionWithoutNew:
			if err := s.leaveOutNew(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) leaveOutNew(ctx context.Context) error {
	if s.start.LastGood == "" {
		return fmt.Errorf("%s: there is no last good revision", OptionWithoutNew)
	}
	good, err := s.chain.Find(ctx, s.start.LastGood)
	if err != nil {
		return fmt.Errorf("%s: the last good revision: %w", OptionWithoutNew, err)
	}
	s.leftOut.known = map[string]bool{}
	for p, err := range s.parts(ctx, good) {
		if err != nil {
			return err
		}
		for _, node := range p.unit.Lock.Nodes {
			s.leftOut.known[node.ID.String()] = true
		}
	}
	return nil
}

// why says why a unit takes no part; "" if it does.
func (l *leftOut) why(u *revision.Unit) string {
	for _, node := range u.Lock.Nodes {
		switch id := node.ID.String(); {
		case l.without[id]:
			return fmt.Sprintf("this start is without %s, as the owner asked", id)
		case l.known != nil && !l.known[id]:
			return fmt.Sprintf("this start is without what is new since the last good revision, and %s is", id)
		}
	}
	return ""
}

// from returns a mount as this start has it: production answers 503 where
// something of it is left out, the beta is not there.
func (l *leftOut) from(m *revision.Mount) *revision.Mount {
	for _, slot := range slots {
		for _, u := range m.In(slot).Units() {
			why := l.why(u)
			if why == "" {
				continue
			}
			without := *m
			l.routes = append(l.routes, fmt.Sprintf("%s (%s)", m.Route(), slot))
			if slot == revision.Production {
				without.Production, without.Disabled = nil, why
			} else {
				without.Beta = nil
			}
			m = &without
			break
		}
	}
	return m
}

// tell notes for the owner what was left out.
func (l *leftOut) tell(n *notices) {
	if len(l.routes) > 0 {
		n.set(Notice{Kind: "left-out", Message: "This start leaves out, as the owner asked: " + strings.Join(l.routes, ", ") + ".", Hint: "replace or unmount what is to blame, then berth restart"})
	}
}

const noticeFilters = "site-filters"

// lookAtFilters tells the owner which filters of the whole site are not at
// work, so that nothing of it answers.
func (s *Server) lookAtFilters() {
	missing := s.site.MissingFilters()
	var list []string
	for _, filter := range sortedKeys(missing) {
		list = append(list, fmt.Sprintf("%s (%s)", filter, missing[filter]))
	}
	if err := s.site.FiltersError(); err != nil {
		list = append(list, err.Error())
	}
	if len(list) == 0 {
		s.notices.clear(noticeFilters)
		return
	}
	s.notice(Notice{Kind: noticeFilters, Message: "The whole site answers 503, because nobody may pass it without its filters, and not all are at work: " + strings.Join(list, "; ") + ".",
		Hint: "enter again what a filter lacks (berth config), or take it away (berth filters --none): the site is back at once. After another repair: berth restart"})
}
