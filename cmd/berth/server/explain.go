package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/berth-host/berth/host/console"
	"github.com/berth-host/berth/host/console/api"
	"github.com/berth-host/berth/host/engine"
	"github.com/berth-host/berth/host/site"
	"github.com/berth-host/berth/registry"
	"github.com/berth-host/berth/registry/archive"
	"github.com/berth-host/berth/registry/config"
	"github.com/berth-host/berth/registry/fetch"
	"github.com/berth-host/berth/registry/index"
	"github.com/berth-host/berth/registry/name"
	"github.com/berth-host/berth/registry/resolve"
	"github.com/berth-host/berth/registry/revision"
	"github.com/berth-host/berth/registry/secret"
	"github.com/berth-host/berth/registry/store"
	"github.com/berth-host/berth/registry/workshop"
)

// explanations say which errors a caller of the API may read, with which
// status and code, and what to do. The first that fits counts. Anything else
// is an internal error and is only logged.
var explanations = []struct {
	is     error
	status int
	code   string
	hint   string
}{
	{store.ErrPoisoned, http.StatusServiceUnavailable, "store_failed", "the disk failed; restart the server once it works again"},
	{store.ErrFull, http.StatusInsufficientStorage, "disk_full", "free some space on the disk of the data folder; berth goes on by itself"},
	{store.ErrCorrupt, http.StatusInternalServerError, "store_damaged", "berth check tells what is damaged"},
	{revision.ErrNoMount, http.StatusNotFound, "not_found", "berth mount lists what is mounted"},
	{revision.ErrNoRevision, http.StatusNotFound, "not_found", "berth history lists the revisions"},
	{revision.ErrPathTaken, http.StatusConflict, "path_taken", "berth slot PATH --package PACKAGE puts another package there"},
	{revision.ErrNothingInBeta, http.StatusConflict, "nothing_in_beta", "berth slot PATH --package PACKAGE puts something there"},
	{revision.ErrEmptySlot, http.StatusNotFound, "empty_slot", "--slot says which slot is meant: beta or production"},
	{revision.ErrNoPackage, http.StatusNotFound, "no_package", ""},
	{revision.ErrInvalid, http.StatusBadRequest, "invalid", ""},
	{workshop.ErrNoCopy, http.StatusNotFound, "no_copy", "berth copy lists the copies, berth copy PACKAGE makes one"},
	{workshop.ErrNoFile, http.StatusNotFound, "no_file", "berth edit COPY lists the files"},
	{workshop.ErrNoVersion, http.StatusNotFound, "no_version", "berth edit COPY versions lists them"},
	{workshop.ErrUnresolved, http.StatusConflict, "unresolved_conflicts", "edit these files until no marks are left, or take one side: berth edit COPY resolve FILE mine|theirs"},
	{workshop.ErrUnchanged, http.StatusConflict, "unchanged", ""},
	{workshop.ErrDirty, http.StatusConflict, "unsaved", "save them, or forget them too: berth copy --forget COPY --unsaved"},
	{workshop.ErrUpload, http.StatusUnprocessableEntity, "bad_upload", "nothing was changed; upload a zip of a folder, or a package"},
	{workshop.ErrInvalid, http.StatusBadRequest, "invalid", ""},
	{store.ErrConflict, http.StatusConflict, "conflict", "look at the site as it is now, and try again"},
	{store.ErrTooLarge, http.StatusRequestEntityTooLarge, "too_large", ""},
	{registry.ErrNotInstalled, http.StatusNotFound, "not_installed", "berth packages lists what is installed"},
	{registry.ErrInUse, http.StatusConflict, "in_use", "unmount it first; revisions that you may go back to keep their packages too"},
	{registry.ErrNoVersion, http.StatusNotFound, "no_version", ""},
	{registry.ErrNotSpeaker, http.StatusForbidden, "not_its_publisher", ""},
	{registry.ErrListed, http.StatusBadGateway, "bad_file", "nothing was installed; only the publisher of the package can mend this"},
	{registry.ErrExpired, http.StatusConflict, "expired", ""},
	{fetch.ErrNotModule, http.StatusUnprocessableEntity, "not_a_module", ""},
	{fetch.ErrForbidden, http.StatusForbidden, "not_allowed", ""},
	{fetch.ErrNotFound, http.StatusBadGateway, "fetch_failed", "check the address"},
	{fetch.ErrTooLarge, http.StatusBadGateway, "too_large", ""},
	{fetch.ErrSource, http.StatusBadRequest, "bad_source", "a source looks like https://baz.example/baz, or like a file: ./baz.zip"},
	{archive.ErrInvalid, http.StatusUnprocessableEntity, "bad_package", "only the author of the package can mend this"},
	{index.ErrInvalid, http.StatusBadGateway, "bad_index", "only the publisher of the package can mend this"},
	{name.ErrInvalid, http.StatusBadRequest, "bad_name", ""},
	{resolve.ErrUnresolved, http.StatusUnprocessableEntity, "unresolved", "ask the author of the package that requires it"},
	{site.ErrMigration, http.StatusUnprocessableEntity, "migration_failed", "nothing was changed; berth logs PATH shows what it said, with --slot beta if it was for the beta"},
	{errNoMigration, http.StatusConflict, "data_version", "nothing was changed; ask the author of the package for a version that migrates, or mount it at another path, where it begins anew"},
	{errDataBusy, http.StatusConflict, "data_busy", "nothing was changed; try again when there are fewer visitors, or berth disable PATH first"},
	{errUnfit, http.StatusUnprocessableEntity, "unfit", ""},
	{registry.ErrMigratesNot, http.StatusUnprocessableEntity, "module_refused", "its author has to export berth_migrate, or to take data.migrate out of berth.toml"},
	{engine.ErrRefused, http.StatusUnprocessableEntity, "module_refused", ""},
	{config.ErrInvalid, http.StatusBadRequest, "bad_config", ""},
	{config.ErrSchema, http.StatusUnprocessableEntity, "bad_schema", "only the author of the package can mend this"},
	{secret.ErrWrongKey, http.StatusConflict, "wrong_key", "put the secret.key that belongs to this data back, or enter the secrets again"},
	{store.ErrNotFound, http.StatusNotFound, "not_found", ""},
}

// explain turns an error into what a caller of the API may read; nil when
// that is nothing.
func explain(err error) *console.Error {
	if e := (*console.Error)(nil); errors.As(err, &e) {
		return e
	}
	if e := (*site.DeployError)(nil); errors.As(err, &e) {
		return &console.Error{Status: http.StatusUnprocessableEntity, Code: "not_healthy", Message: e.Error(), Hint: "nothing was changed; what ran before goes on running"}
	}
	if e := (*config.InvalidError)(nil); errors.As(err, &e) {
		return detailed(&console.Error{Status: http.StatusUnprocessableEntity, Code: "bad_config", Message: e.Error(), Hint: "berth config PATH KEY=VALUE sets a value; before the package is mounted, berth config --package PACKAGE KEY=VALUE does"},
			problemsOf(e.Package, e.Problems))
	}
	if e := (*config.UnknownError)(nil); errors.As(err, &e) {
		return &console.Error{Status: http.StatusBadRequest, Code: "bad_config", Message: e.Error()}
	}
	if e := (*fetch.ForbiddenError)(nil); errors.As(err, &e) && e.Origin != "" {
		return detailed(&console.Error{Status: http.StatusForbidden, Code: "not_allowed", Message: err.Error()}, api.OriginWanted{Origin: e.Origin, Reason: e.Reason})
	}
	if e := (*revision.ConflictError)(nil); errors.As(err, &e) {
		return &console.Error{Status: http.StatusConflict, Code: "conflict", Message: e.Error(), Hint: fmt.Sprintf("nothing was changed; berth diff %d %d shows what is different now", e.Base, e.Head.Number)}
	}
	if e := explainDraft(err); e != nil {
		return e
	}
	if e := (*lossError)(nil); errors.As(err, &e) {
		return &console.Error{Status: http.StatusConflict, Code: "data_loss", Message: e.Error(), Hint: "nothing was changed; if that is what you want, say it again with --lose-data"}
	}
	for _, known := range security {
		if known(err) {
			return &console.Error{Status: http.StatusConflict, Code: "security", Message: err.Error()}
		}
	}
	for _, x := range explanations {
		if errors.Is(err, x.is) {
			return &console.Error{Status: x.status, Code: x.code, Message: err.Error(), Hint: x.hint}
		}
	}
	return nil
}

// detailed adds what programs may want to know of an error.
func detailed(e *console.Error, details any) *console.Error {
	if b, err := json.Marshal(details); err == nil { // it is an api type: it can be written
		e.Details = b
	}
	return e
}

// security recognises errors that must never be clicked away.
var security = []func(error) bool{
	func(err error) bool { var e *registry.HashError; return errors.As(err, &e) },
	func(err error) bool { var e *index.PinError; return errors.As(err, &e) },
}
