package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-host/berth/failsafe/helper"
	"github.com/berth-host/berth/failsafe/smallfile"
)

const (
	// maxStartup is the size of the largest startup file, in bytes.
	maxStartup = 64 << 10
	// keptCopies is how many versions of the startup file are kept.
	keptCopies = 5
)

// A startupText is a startup file, or one of its copies.
type startupText struct {
	Text    string
	Sum     string // tells whether it changed meanwhile
	Missing bool   // there is none: the defaults count
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// readStartup reads the startup file; number 1 to 5 is a copy, 1 the newest.
func (s *Server) readStartup(number int) (startupText, error) {
	path := s.config.Startup
	if number > 0 {
		path = s.copyPath(number)
	}
	data, err := smallfile.Follow(path, maxStartup)
	if errors.Is(err, fs.ErrNotExist) && number == 0 {
		return startupText{Missing: true, Sum: sumOf("")}, nil
	}
	return startupText{Text: string(data), Sum: sumOf(string(data))}, err
}

func (s *Server) copyPath(number int) string {
	return s.config.Startup + ".before-" + strconv.Itoa(number)
}

// A startupCopy is one of the kept versions.
type startupCopy struct {
	Number int
	Time   string
}

func (s *Server) startupCopies() (copies []startupCopy) {
	for n := 1; n <= keptCopies; n++ {
		if info, err := os.Stat(s.copyPath(n)); err == nil && info.Mode().IsRegular() {
			copies = append(copies, startupCopy{n, info.ModTime().Format("2006-01-02 15:04")})
		}
	}
	return copies
}

// errChanged is the error of an edit of what somebody else changed meanwhile.
var errChanged = errors.New("the startup file was changed by somebody else in the meantime: look at what it says now")

// saveStartup checks a new startup file and puts it in place of the one that
// was read with a sum. That one becomes the newest copy. An error tells what is
// wrong and leaves everything as it was.
func (s *Server) saveStartup(ctx context.Context, text, sum string) error {
	s.editing.Lock()
	defer s.editing.Unlock()
	text = strings.ReplaceAll(text, "\r\n", "\n") // as browsers send it
	if len(text) > maxStartup {
		return fmt.Errorf("the startup file has %d bytes; the most is %d", len(text), maxStartup)
	}
	before, err := s.readStartup(0)
	unreadable := err != nil
	if unreadable && !errors.Is(err, smallfile.ErrOdd) {
		return err
	}
	if !unreadable && before.Sum != sum {
		return errChanged
	}
	if err := s.checkStartup(ctx, text); err != nil {
		return err
	}
	switch {
	case unreadable:
		err = s.keepAside()
	case !before.Missing && before.Text != text:
		err = s.keepCopy(before.Text)
	}
	if err != nil {
		return fmt.Errorf("the version before can't be kept, so nothing was changed: %w", err)
	}
	path := s.config.Startup
	if target, err := os.Readlink(path); err == nil && target != "" {
		return fmt.Errorf("%s is a link to %s: change that file, which something else takes care of", path, target)
	}
	return smallfile.Write(path, []byte(text))
}

// keepCopy makes a text the newest copy and drops the oldest. It is written
// before the others move up: on a full disk they stay, however often it is
// tried.
func (s *Server) keepCopy(text string) error {
	if newest, err := s.readStartup(1); err == nil && newest.Text == text {
		return nil
	}
	if err := smallfile.Write(s.copyPath(0), []byte(text)); err != nil {
		return err
	}
	return s.moveCopies()
}

// keepAside makes a startup file that is too large to be read the newest copy.
// What is no file at all is nobody's work.
func (s *Server) keepAside() error {
	if info, err := os.Stat(s.config.Startup); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	_ = os.Remove(s.copyPath(0)) // of a try that was cut off
	if err := os.Link(s.config.Startup, s.copyPath(0)); err != nil {
		return err
	}
	return s.moveCopies()
}

// moveCopies makes copy 0 the newest one.
func (s *Server) moveCopies() error {
	for n := keptCopies; n > 0; n-- {
		if err := os.Rename(s.copyPath(n-1), s.copyPath(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkStartup asks a helper, which knows the language of the file.
func (s *Server) checkStartup(ctx context.Context, text string) error {
	stderr, err := s.runner.run(ctx, helper.ShortLimits, []string{helper.CheckStartup}, strings.NewReader(text), io.Discard)
	if e := (*helperError)(nil); errors.As(err, &e) && e.code == helper.ExitFailed && stderr != "" {
		return errors.New(saidError(stderr))
	}
	return err
}

var consoleKey = regexp.MustCompile(`(?m)^[ \t]*console[ \t]*=.*$`)

// withConsole returns a startup file in which the console has an address.
func withConsole(text, address string) string {
	line := "console = " + strconv.Quote(address)
	if loc := consoleKey.FindStringIndex(text); loc != nil {
		return text[:loc[0]] + line + text[loc[1]:]
	}
	if text != "" {
		text = "\n" + text
	}
	return line + text + map[bool]string{true: "", false: "\n"}[strings.HasSuffix(text, "\n")]
}

// faultLine finds the line of a startup file that a reason names, 0 for none.
func (s *Server) faultLine(reason string) int {
	at := regexp.MustCompile(regexp.QuoteMeta(s.config.Startup) + `:(\d{1,6})\b`).FindStringSubmatch(reason)
	if at == nil {
		return 0
	}
	n, _ := strconv.Atoi(at[1]) // digits
	return n
}

// aboutStartup reports whether a reason is about the startup file.
func (s *Server) aboutStartup(reason string) bool {
	return s.config.Startup != "" && strings.Contains(reason, s.config.Startup)
}
