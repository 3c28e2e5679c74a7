package app

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// A Write is what a container wrote in one directory of its image.
type Write struct {
	Made    []string `json:"made,omitempty"`    // directories that it made there, by name, sorted
	Changed []string `json:"changed,omitempty"` // files of the image that it changed or removed there, by name, sorted
	Files   bool     `json:"files,omitempty"`   // it made files there, if only for a while
	Owned   bool     `json:"owned,omitempty"`   // it changed who owns the directory, or its mode
	Holds   bool     `json:"holds,omitempty"`   // the image has something in it
	Owner   *Owner   `json:"owner,omitempty"`   // whose it is in the image; nil where nobody looked
}

// nothing says whether nothing was written: only the owner changed.
func (w Write) nothing() bool { return !w.Files && len(w.Made) == 0 && len(w.Changed) == 0 }

// MergeWrites adds the writes of one run to those of others.
func MergeWrites(a, b map[string]Write) map[string]Write {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]Write{}
	}
	for dir, w := range b {
		was := out[dir]
		was.Made = union(was.Made, w.Made)
		was.Changed = union(was.Changed, w.Changed)
		was.Files, was.Owned, was.Holds = was.Files || w.Files, was.Owned || w.Owned, was.Holds || w.Holds
		if w.Owner != nil {
			was.Owner = w.Owner
		}
		out[dir] = was
	}
	return out
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}

// A Place is a directory that a container has to be able to write in.
type Place struct {
	Dir     string
	Made    bool     // the image does not have it
	Holds   bool     // the image has something in it
	Changed []string // files of the image in it that the container changed or removed
}

// anybodys are directories that everybody writes in, under names that differ from
// run to run.
var anybodys = []string{"/tmp", "/var/tmp", "/dev/shm"}

// manyMade is how many directories a container may make beside each other until
// their names are taken to say nothing.
const manyMade = 8

// Places gives the directories that the container has to be able to write in,
// sorted: those that it wrote in, and those in which it was refused. Where all that
// it did in one that holds something of the image was to make directories, it is
// these that it needs, and not the one around them; unless Whole names that one.
func (s *SeenInside) Places() []Place {
	found := map[string]Place{}
	for _, dir := range s.Written {
		if s.Writes == nil { // an older record
			found[dir] = Place{Dir: dir}
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(s.Writes)) {
		w := s.Writes[dir]
		if w.nothing() {
			continue
		}
		if !s.within(dir) {
			found[dir] = Place{Dir: dir, Holds: w.Holds, Changed: w.Changed, Made: found[dir].Made}
			continue
		}
		for _, name := range w.Made {
			found[path.Join(dir, name)] = Place{Dir: path.Join(dir, name), Made: true}
		}
	}
	for _, d := range s.Denied {
		if name := path.Clean(d.Name); d.What == "write" && !below(found, name) && !below(found, path.Dir(name)) {
			found[path.Dir(name)] = Place{Dir: path.Dir(name)}
		}
	}
	for _, dir := range s.Whole {
		if _, ok := found[dir]; !ok {
			found[dir] = Place{Dir: dir, Holds: s.Writes[dir].Holds}
		}
	}
	var out []Place
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[dir])
	}
	return out
}

// within says whether all that a directory is needed for is what was made in it.
func (s *SeenInside) within(dir string) bool {
	w := s.Writes[dir]
	switch {
	case w.Files, len(w.Changed) > 0, len(w.Made) > manyMade:
		return false
	case dir == "/":
		return true // nothing can be put in its place
	case slices.Contains(anybodys, dir), slices.Contains(s.Whole, dir):
		return false
	}
	return w.Holds
}

// Around gives the directories of which Places gives only what the container made
// in them.
func (s *SeenInside) Around() []string {
	var out []string
	for _, p := range s.Places() {
		if dir := path.Dir(p.Dir); p.Made && dir != "/" && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

// below says whether a name is that of a place, or lies in one.
func below(found map[string]Place, dir string) bool {
	for d := range found {
		if d == dir || d != "/" && strings.HasPrefix(dir, d+"/") {
			return true
		}
	}
	return false
}
