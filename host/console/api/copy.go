package api

import "time"

// CopyRequest copies an installed package under a name of the site's own.
type CopyRequest struct {
	Package string `json:"package" audit:"show"`        // package or package@version
	Name    string `json:"name,omitempty" audit:"show"` // last part of the copy's name; "": that of the package's
}

// CopyRef names a copy.
type CopyRef struct {
	Package string `query:"package"`
}

// CopyRemoval forgets a copy and its draft. Its versions stay installed.
type CopyRemoval struct {
	Package string `query:"package" audit:"show"`
	Unsaved bool   `query:"unsaved" audit:"show"` // even if the draft has changes that were never saved
}

// Copy is a package that its owner edits, with the state of its draft: its
// files as they are being edited.
type Copy struct {
	Package   string      `json:"package"`
	Title     string      `json:"title"`
	Origin    string      `json:"origin"`   // package@version that was copied
	OriginH1  string      `json:"originH1"` // its hash
	Upstream  string      `json:"upstream"` // package@version of the original whose changes are in the draft
	Newer     []string    `json:"newer"`    // installed versions of the original that could be merged
	DataOf    string      `json:"dataOf"`   // the package whose data it uses where it is mounted
	Created   time.Time   `json:"created"`
	By        string      `json:"by"`
	From      string      `json:"from"`    // version that the draft was last saved as, or brought back from; "": the original
	Changed   time.Time   `json:"changed"` // the draft
	ChangedBy string      `json:"changedBy"`
	Unsaved   []string    `json:"unsaved"` // files that differ from From
	Conflicts int         `json:"conflicts"`
	Undo      string      `json:"undo,omitempty"` // what bringing back the earlier draft would undo
	Newest    string      `json:"newest"`         // newest saved version; "": none yet
	Places    []CopyPlace `json:"places"`         // where it, or what it is a copy of, stands
}

// CopyPlace is a slot in which a copy stands, or its original.
type CopyPlace struct {
	Mount   string `json:"mount"` // ID
	Route   string `json:"route"` // host and path
	Slot    string `json:"slot"`
	Package string `json:"package"` // package@version
	Copy    bool   `json:"copy"`    // it is this copy
}

// FilesRequest asks for the files of a copy's draft, or of a version of any
// installed package.
type FilesRequest struct {
	Package string `query:"package"`
	Version string `query:"version"` // "": the draft
}

// Files are those of a draft or of a version.
type Files struct {
	Package   string         `json:"package"`
	Version   string         `json:"version"` // "draft" for a draft
	Files     []File         `json:"files"`   // by path
	Unsaved   []string       `json:"unsaved,omitempty"`
	Conflicts []FileConflict `json:"conflicts,omitempty"`
	Problems  []FileProblem  `json:"problems,omitempty"` // for which the draft can't be saved
	Note      string         `json:"note,omitempty"`     // what the owner must know of this package
}

// File is one file of a draft or version.
type File struct {
	Path string `json:"path"`
	Hash string `json:"hash"` // SHA-256 in hexadecimal; the base of a write
	Size int64  `json:"size"` // bytes
	// Kind says what the file is for: manifest, module, source (run by an
	// engine), built (a source from which a module was built elsewhere), asset or file.
	Kind string `json:"kind"`
	URL  string `json:"url,omitempty"` // of an asset, below the mount
}

// FileConflict is a file that both the owner and a new version of the original
// changed, and that waits for his decision.
type FileConflict struct {
	Path       string `json:"path"`
	Marked     bool   `json:"marked"` // the draft's file holds both, with marks
	From       string `json:"from"`   // the new version
	MineGone   bool   `json:"mineGone"`
	TheirsGone bool   `json:"theirsGone"`
	MineSize   int64  `json:"mineSize"`   // bytes
	TheirsSize int64  `json:"theirsSize"` // bytes
}

// FileProblem is something for which a draft can't be saved.
type FileProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	Message string `json:"message"`
}

// FileProblems are the details of an error with the code bad_draft.
type FileProblems struct {
	Problems []FileProblem `json:"problems"`
}

// FileRef names a file of a draft or version.
type FileRef struct {
	Package string `query:"package"`
	Version string `query:"version"` // "": the draft
	Path    string `query:"path"`
}

// FileChange names a file of a draft that is to be written or deleted.
type FileChange struct {
	Package string `query:"package" audit:"show"`
	Path    string `query:"path" audit:"show"`
	Base    string `query:"base"` // hash of what is replaced; "": the file must not be there
}

// EditConflict are the details of an error with the code edit_conflict: the
// file is no more what the change was based on. Nothing was changed. Texts are
// absent where a side is gone or is no text.
type EditConflict struct {
	Path   string  `json:"path"`
	Hash   string  `json:"hash"` // of what is there now: the base for another try; "": the file is gone
	By     string  `json:"by"`   // who changed the draft last
	Base   *string `json:"base,omitempty"`
	Mine   *string `json:"mine,omitempty"`
	Theirs *string `json:"theirs,omitempty"`
	Merged *string `json:"merged,omitempty"` // both together
	Clean  bool    `json:"clean"`            // nothing in Merged needs a decision
}

// RenameRequest moves a file of a draft, or a folder with all that is in it.
type RenameRequest struct {
	Package string `json:"package" audit:"show"`
	From    string `json:"from" audit:"show"`
	To      string `json:"to" audit:"show"`
	Base    string `json:"base,omitempty"` // of a file: its hash
}

// ResolveRequest decides a conflict by taking one side whole.
type ResolveRequest struct {
	Package string `json:"package" audit:"show"`
	Path    string `json:"path" audit:"show"`
	Take    string `json:"take" audit:"show"` // mine or theirs
}

// MergeRequest brings a version of the original into a draft.
type MergeRequest struct {
	Package string `json:"package" audit:"show"`
	Version string `json:"version" audit:"show"`
}

// Merged tells what a merge did.
type Merged struct {
	From      string         `json:"from"` // package@version
	To        string         `json:"to"`
	Changed   []string       `json:"changed"` // files that are another now, or gone
	Conflicts []FileConflict `json:"conflicts"`
}

// DiscardRequest brings a draft back.
type DiscardRequest struct {
	Package string `json:"package" audit:"show"`
	Version string `json:"version" audit:"show"` // of the copy; "original", or "draft" for what it was before it was last changed as a whole
}

// SaveRequest makes a version of a draft.
type SaveRequest struct {
	Package string `json:"package" audit:"show"`
	Note    string `json:"note,omitempty"`
}

// CopyVersion is a saved version of a copy.
type CopyVersion struct {
	Package   string      `json:"package"`
	Version   string      `json:"version"`
	Note      string      `json:"note"`
	By        string      `json:"by"`
	Time      time.Time   `json:"time"`
	After     string      `json:"after"`     // the version that it was made from; "": the original
	Upstream  string      `json:"upstream"`  // package@version of the original whose changes are in it
	H1        string      `json:"h1"`        // hash
	Installed bool        `json:"installed"` // false: it was removed
	Places    []CopyPlace `json:"places"`
}

// TryRequest puts a version of a copy into the beta slot of the path where its
// original stands, with that one's configuration, permissions and data.
type TryRequest struct {
	Package string `json:"package" audit:"show"`
	Version string `json:"version,omitempty" audit:"show"` // "": the newest
	Mount   string `json:"mount,omitempty" audit:"show"`   // ID; "": the one where the original stands, if that is one
	Why     string `json:"why,omitempty" audit:"show"`
}

// Uploaded tells what an upload did to a draft.
type Uploaded struct {
	Changed []string `json:"changed"` // files that are another now, or gone
	Skipped []string `json:"skipped"` // entries that do not belong into a package
}

// UploadParams of a zip for a draft.
type UploadParams struct {
	Package string `query:"package" audit:"show"`
	Whole   bool   `query:"whole" audit:"show"` // the zip replaces all files, not only those with the same paths
}

// FilesDiffRequest compares the files of two versions of packages.
type FilesDiffRequest struct {
	From string `query:"from"` // package@version, or package@draft of a copy
	To   string `query:"to"`
}

// FilesDiff says in which files two versions differ.
type FilesDiff struct {
	From  string     `json:"from"`
	To    string     `json:"to"`
	Files []FileDiff `json:"files"`
}

// FileDiff says how one file differs. Files that are no text, or large, are
// compared by hash and size alone.
type FileDiff struct {
	Path     string     `json:"path"`
	Kind     string     `json:"kind"` // added, removed or edited
	Text     bool       `json:"text"` // it is compared by lines
	FromHash string     `json:"fromHash,omitempty"`
	FromSize int64      `json:"fromSize"`
	ToHash   string     `json:"toHash,omitempty"`
	ToSize   int64      `json:"toSize"`
	Added    int        `json:"added"` // lines
	Removed  int        `json:"removed"`
	Hunks    []DiffHunk `json:"hunks,omitempty"`
	Unified  string     `json:"unified,omitempty"` // the hunks as patch reads them
}

// DiffHunk is a part of a file in which two versions differ.
type DiffHunk struct {
	From      int        `json:"from"` // its first line, from 1
	FromLines int        `json:"fromLines"`
	To        int        `json:"to"`
	ToLines   int        `json:"toLines"`
	Lines     []DiffLine `json:"lines"`
}

// DiffLine is one line of a hunk.
type DiffLine struct {
	Op   string `json:"op"`             // " " on both sides, "-" removed, "+" added
	From int    `json:"from,omitempty"` // its number; absent: the side has no such line
	To   int    `json:"to,omitempty"`
	Text string `json:"text"` // with its line end, if it has one
}
