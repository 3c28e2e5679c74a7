// Package edit changes YAML manifests and Dockerfiles by splicing bytes: every
// byte outside the change stays as it was. It never decodes and encodes a file.
//
// A change is data (Edit), so showing it as a diff, trying it on a copy and
// writing it are one path: Apply makes the new bytes, Diff shows them, Write
// puts them on disk.
package edit

import "road/internal/app"

// An Edit is one change to one file. Exactly one of Set, Lines and Create is
// given. Edits of one file are applied in the order in which they stand.
type Edit struct {
	File   string // slash-separated, relative to the application's root
	Set    *Set
	Lines  *Lines
	Create []byte // a new file with this content; an error where the file exists
	Part   bool   // Create is one of several parts of a new file, in order

	// For names the workloads that the edit is for, by app.Workload.ID, where that
	// does not show in what it changes; Bond says what holds them together.
	For  []string
	Bond Bond

	// Without gives what Create is where some of those in For are to stay as they are,
	// and these are named; nothing at all is no edit. nil where Create does not hang on
	// them. It is pure.
	Without func(staying []string) []byte

	// Note says what a person should know before the edit reaches a cluster: what it
	// does there to others than the application. "" where it does nothing to them.
	Note string
}

// A Bond says what becomes of an edit for several workloads where some of them are
// to stay as they are.
type Bond int

// The bonds.
const (
	Each     Bond = iota // it is made as long as one of them wants it
	Together             // it acts on all: where one is to stay as it is, so are the others
	Spare                // it acts on all, and the others can do without it
)

// A Set gives a value its place in a YAML or JSON document.
type Set struct {
	Doc   int      // document in the file, 0 first; a List's items count through Path
	Path  app.Path // from the top of the document; missing mappings on the way are made; a sequence index equal to its length appends
	Value any      // string, bool, int, int64, float64, Map, []any of these; nil takes the key or item out; its comments stay, on lines of their own

	// Before names the sibling in front of which a new key goes. Where it is
	// empty or does not stand, the key goes to the end of its mapping. It holds
	// for the first mapping on the way that has to be made.
	Before string

	// Comment is one line of text, without "#", that goes above a new key, or above
	// the content of a list or mapping that takes another's place.
	Comment string
}

// A Map is a mapping whose keys keep their order.
type Map []Field

// Null is the value null, which in a patch takes a key away.
type Null struct{}

// A Field is one key of a Map.
type Field struct {
	Key   string
	Value any
}

// Lines replaces whole lines of a Dockerfile or a shell script. Line numbers are those of the file
// before any edit of the same call of Apply.
type Lines struct {
	After   int    // the change begins behind this line, 1-based; 0 is the top of the file
	Replace int    // so many lines behind After go away; 0 only inserts
	Text    string // what comes instead, lines joined by \n without a last one; "" for nothing
}

// A Refused is an edit that could not be done safely. The file it names stays
// as it is.
type Refused struct {
	app.Pos
	Message string
	Hint    string
}

// Error gives "file:line: message".
func (r *Refused) Error() string { return r.Pos.String() + ": " + r.Message }

// Files maps slash-separated names, relative to the application's root, to content.
type Files map[string][]byte
