// Package helper holds the words that the failsafe server and its helpers
// share. A helper is a short-lived process, berth repair VERB, that does one
// repair: it opens the store, and when the store kills it, the failsafe server
// goes on. The package imports the standard library only.
package helper

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// Verb is the verb of the program that runs a helper.
const Verb = "repair"

// The repairs. Their arguments are in [Command].
const (
	CheckStartup = "check-startup" // the startup file on standard input; prints what is wrong
	List         = "list"          // prints an [Inventory] as JSON
	Doctor       = "doctor"
	Check        = "check"
	Compact      = "compact"
	DeleteKept   = "delete-kept" // one of [Inventory].Kept
	EmptyCache   = "empty-cache"
	RevertPage   = "revert-page"
	Backup       = "backup"
	BackupStdout = "backup-stdout" // the backup alone on standard output
	Restore      = "restore"
	RestoreFile  = "restore-file" // a path that the failsafe server chose
	Revisions    = "revisions"
	GoBack       = "go-back"
	Mounts       = "mounts"
	Modules      = "modules"
	Enable       = "enable"
	Disable      = "disable"
	EnableUses   = "enable-module"
	DisableUses  = "disable-module"
	Install      = "install"
	PutKey       = "put-key" // a path that the failsafe server chose
	NewKey       = "new-key"
	InstallFile  = "install-file" // a path that the failsafe server chose, and the name of the file
)

// Exit codes of a helper. Every other one, and a signal, is a crash.
const (
	ExitDone   = 0
	ExitFailed = 1 // it said why on standard error
	ExitLocked = 3 // another process has the store
)

// Limits bound a helper.
type Limits struct {
	Time   time.Duration
	Memory int64 // bytes of address space and, softly, of heap; the database is mapped on top of it
}

// The limits of most repairs, and of those that read or write everything.
var (
	ShortLimits = Limits{Time: time.Minute, Memory: 1 << 30}
	LongLimits  = Limits{Time: time.Hour, Memory: 1 << 30}
)

// A Command is a repair that the owner may ask for by name.
type Command struct {
	Name    string   // as it is typed, and the repair's
	Args    []string // names of its arguments, all needed
	Summary string   // one sentence
	Help    string   // what else there is to know
	Limits  Limits
	Changes bool // does it change anything?
}

// Commands are all that can be typed.
var Commands = []Command{
	{Name: Doctor, Summary: "Looks at everything that berth needs and says what is wrong.", Limits: ShortLimits,
		Help: "It looks at the data folder, free space and memory, the startup file, the keys and the store, and changes nothing."},
	{Name: Check, Summary: "Reads everything stored and reports damage.", Limits: LongLimits,
		Help: "Every page of the database and every byte of every package is compared with its checksum. Nothing is changed."},
	{Name: RevertPage, Summary: "Takes back the last write to the database, which a crash may have damaged.", Limits: LongLimits, Changes: true,
		Help: "The database keeps the state before its last write. This makes it the present one again, if it is whole. The database as it was is kept beside it."},
	{Name: Compact, Summary: "Writes the database anew without its empty space.", Limits: LongLimits, Changes: true,
		Help: "The new database is checked before it takes the place of the old one. It needs as much free space as the database has content."},
	{Name: EmptyCache, Summary: "Deletes the folder cache's content, which the server makes anew.", Limits: LongLimits, Changes: true,
		Help: "It holds compiled code and unpacked assets. The next start takes longer by what has to be compiled."},
	{Name: DeleteKept, Args: []string{"FILE"}, Summary: "Deletes a backup, or a store that was kept aside, to make room.", Limits: LongLimits, Changes: true,
		Help: "The page Store lists what can be deleted, under Make room. Nothing brings it back."},
	{Name: Backup, Summary: "Writes a backup into the folder backups of the data folder.", Limits: LongLimits,
		Help: "The page Store offers to download one instead."},
	{Name: Restore, Args: []string{"FILE"}, Summary: "Puts a backup from the folder backups in place of the store.", Limits: LongLimits, Changes: true,
		Help: "The backup is verified first. The store as it was is kept aside, in a folder that is named. The page Store takes a backup from your computer."},
	{Name: NewKey, Summary: "Makes a new secret.key where the old one is lost.", Limits: ShortLimits, Changes: true,
		Help: "Secrets in the configuration stay sealed with the old key: enter them again in the console. If you have the old key, the page Store takes it. A key that can be read is never replaced by a new one."},
	{Name: Revisions, Summary: "Lists the last revisions of the site: who made them, when and why.", Limits: ShortLimits},
	{Name: GoBack, Args: []string{"NUMBER"}, Summary: "Makes the site as it was in a revision.", Limits: ShortLimits, Changes: true,
		Help: "It writes a new revision, so you can go forward again in the same way. Data that modules have stored stays as it is."},
	{Name: Mounts, Summary: "Lists the mounts and what stands there.", Limits: ShortLimits},
	{Name: Disable, Args: []string{"PATH"}, Summary: "Disables a mount: it answers 503 until you enable it.", Limits: ShortLimits, Changes: true,
		Help: "PATH is that of the mount, with its host name before it if it has one."},
	{Name: Enable, Args: []string{"PATH"}, Summary: "Enables a mount.", Limits: ShortLimits, Changes: true},
	{Name: Modules, Summary: "Lists the installed packages.", Limits: ShortLimits},
	{Name: DisableUses, Args: []string{"PACKAGE"}, Summary: "Disables every mount in which a package takes part.", Limits: ShortLimits, Changes: true,
		Help: "PACKAGE is a name such as baz.example/baz, with @v2.1.0 behind it to mean that version only."},
	{Name: EnableUses, Args: []string{"PACKAGE"}, Summary: "Enables every mount in which a package takes part.", Limits: ShortLimits, Changes: true},
	{Name: Install, Args: []string{"URL"}, Summary: "Installs a package with its dependencies.", Limits: Limits{Time: 10 * time.Minute, Memory: 2 << 30}, Changes: true,
		Help: "It is not mounted anywhere by that: do it in the console. The page Site takes a file from your computer."},
}

// An Inventory is what the store holds, for the pages.
type Inventory struct {
	Head      uint64     `json:"head"` // number of the newest revision
	Revisions []Revision `json:"revisions"`
	Mounts    []Mount    `json:"mounts"`
	Modules   []Module   `json:"modules"`
	Backups   []File     `json:"backups"`
	Kept      []File     `json:"kept"`              // what may be deleted to make room; paths in the data folder, with slashes
	Cache     int64      `json:"cache"`             // bytes that emptying it frees
	Problem   string     `json:"problem,omitempty"` // why the rest is empty
	Locked    bool       `json:"locked,omitempty"`  // another process has the store open
}

// A Revision is one of the last ones.
type Revision struct {
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Why    string    `json:"why"`
}

// A Mount is one of the newest revision.
type Mount struct {
	Route      string `json:"route"`
	Production string `json:"production,omitempty"` // package@version
	Beta       string `json:"beta,omitempty"`
	Disabled   string `json:"disabled,omitempty"` // why
}

// A Module is an installed package.
type Module struct {
	ID        string    `json:"id"` // package@version
	Installed time.Time `json:"installed"`
	Uses      int       `json:"uses"` // mounts in which it takes part
}

// A File is one of the data folder.
type File struct {
	Name string    `json:"name"`
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}

// maxInventory bounds the text of an inventory, in bytes.
const maxInventory = 16 << 20

// ReadInventory reads what a helper printed. Its error is about a helper that
// printed something else.
func ReadInventory(r io.Reader) (Inventory, error) {
	var inv Inventory
	d := json.NewDecoder(io.LimitReader(r, maxInventory))
	if err := d.Decode(&inv); err != nil {
		return Inventory{}, fmt.Errorf("the list of what is stored can't be read: %w", err)
	}
	return inv, nil
}

// Usage is how a command is typed: go-back NUMBER.
func (c Command) Usage() string { return strings.Join(append([]string{c.Name}, c.Args...), " ") }
