package web

import (
	"strings"

	"github.com/berth-host/berth/host/console"
)

// hints say what to do in the console where the API names a command.
var hints = map[string]string{
	"path_taken":       "Choose another path. To put something else at that one, open it on the site map.",
	"bad_config":       "Fill in its settings first.",
	"data_loss":        "Nothing was changed. If that is what you want, check the box below and do it again.",
	"data_busy":        "Nothing was changed. Try again when there are fewer visitors, or switch the path off first.",
	"migration_failed": "Nothing was changed. What the module said is in the logs.",
	"nothing_in_beta":  "Put something into the beta first.",
	"no_earlier":       "There is nothing before this. The site map takes a path off the site.",
	"not_installed":    "Install it first: Home has a box for its address.",
	"in_use":           "Take it off the site first. Revisions that you may go back to keep their modules too.",
	"conflict":         "Nothing was changed. Open the page again to see what is different now.",
}

// forOwners returns an error as the console shows it: without commands.
func forOwners(e *console.Error) *console.Error {
	if !strings.Contains(e.Hint, "berth ") && !strings.Contains(e.Hint, "--") {
		return e
	}
	shown := *e
	shown.Hint = hints[e.Code]
	return &shown
}
