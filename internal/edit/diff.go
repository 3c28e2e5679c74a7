package edit

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Diff gives the unified diff between two sets of files, with a/ and b/ before
// the names, sorted by name; "" where nothing differs. A file that is in one set
// alone is shown as new (its other side is /dev/null) or as deleted. patch -p1
// and git apply accept it.
func Diff(before, after Files) string {
	names := maps.Clone(before)
	if names == nil {
		names = Files{}
	}
	maps.Copy(names, after)
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, inA := before[name]
		b, inB := after[name]
		from, to := "a/"+name, "b/"+name
		if !inA {
			from = "/dev/null"
		}
		if !inB {
			to = "/dev/null"
		}
		d := diff.Diff(from, a, to, b)
		_, d, _ = bytes.Cut(d, []byte("\n")) // its first line is "diff a/x b/x"
		out.Write(d)
	}
	return out.String()
}
