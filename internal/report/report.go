// Package report turns a walk's report into what people and programs read. Every
// output is a view of the one value, of the form func(io.Writer, *walk.Report)
// error, and none of them acts or judges.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"road/internal/walk"
)

// A Format writes a report.
type Format func(io.Writer, *walk.Report) error

// Formats are all outputs by the name that -o takes.
var Formats = map[string]Format{
	"text": Text,
	"json": JSON,
}

// Find gives the format of that name; the error lists the names there are.
func Find(name string) (Format, error) {
	if f, ok := Formats[name]; ok {
		return f, nil
	}
	var names []string
	for n := range Formats {
		names = append(names, n)
	}
	sort.Strings(names)
	return nil, fmt.Errorf("unknown output %q: want one of %s", name, strings.Join(names, ", "))
}

// JSON writes the report as it is (schema walk.Schema), indented, with a last
// new line.
func JSON(w io.Writer, r *walk.Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
