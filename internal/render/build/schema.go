package build

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"road/internal/render"

	chart "helm.sh/helm/v4/pkg/chart/v2"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// schemaFile is a chart's schema of its values.
const schemaFile = "values.schema.json"

// validate holds the values against the schema of a chart and those of its
// subcharts, as helm does before it renders. What a schema names in the network is
// not asked for: then anything is let through at that place, and a note says so.
func validate(dir string, c *chart.Chart, values map[string]any) (notes []render.Error, err error) {
	if c.Schema != nil {
		file := path.Join(dir, schemaFile)
		n, err := validateOne(file, c.Schema, values)
		if err != nil {
			return nil, err
		}
		notes = n
	}
	for _, sub := range c.Dependencies() {
		raw, there := values[sub.Name()]
		if !there || raw == nil {
			continue
		}
		below := path.Join(dir, "charts", sub.Name())
		its, ok := raw.(map[string]any)
		if !ok {
			return nil, &render.Error{File: path.Join(dir, "values.yaml"), Line: 1, Message: fmt.Sprintf("the values of the chart %s are no mapping", sub.Name())}
		}
		n, err := validate(below, sub, its)
		if err != nil {
			return nil, err
		}
		notes = append(notes, n...)
	}
	return notes, nil
}

// validateOne holds values against one schema.
func validateOne(file string, text []byte, values map[string]any) (notes []render.Error, err error) {
	wrong := func(err error) error {
		return &render.Error{File: file, Line: 1, Message: "not a schema: " + clean(err), Hint: "helm lint " + path.Dir(file) + " says more"}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, wrong(err)
	}
	const top = "file:///" + schemaFile
	elsewhere := &closedLoader{}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(elsewhere)
	if err := compiler.AddResource(top, doc); err != nil {
		return nil, wrong(err)
	}
	schema, err := compiler.Compile(top)
	for _, u := range elsewhere.passed {
		line := 1 + bytes.Count(text[:max(bytes.Index(text, []byte(u)), 0)], []byte("\n"))
		what := "values are not held against that part of the schema"
		if err != nil {
			what = "values are not held against the schema"
		}
		notes = append(notes, render.Error{File: file, Line: line, Message: u + " lies in the network, which road does not ask: " + what, Hint: "put what it says into " + schemaFile})
	}
	if err != nil && len(notes) > 0 {
		return notes, nil
	}
	if err != nil {
		return nil, wrong(err)
	}
	var invalid *jsonschema.ValidationError
	switch err := schema.Validate(values); {
	case errors.As(err, &invalid):
		return notes, &render.Error{File: file, Line: 1, Message: "the values do not fit the schema: " + strings.Join(faults(invalid), "; "), Hint: "mend values.yaml, or give other values with helm: {values: [FILE]} in road.yaml"}
	case err != nil:
		return notes, wrong(err)
	}
	return notes, nil
}

// A closedLoader has nothing but lets everything through for what lies in the
// network, and for names that helm lets through too. The standard's own schemas
// come with the library, which does not ask for them here.
type closedLoader struct{ passed []string }

// Load refuses files: helm would look for them at the top of the disk.
func (l *closedLoader) Load(name string) (any, error) {
	u, err := url.Parse(name)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "http", "https":
		l.passed = append(l.passed, name)
		return true, nil
	case "urn":
		return true, nil
	}
	return nil, fmt.Errorf("%s is not a part of the chart", name)
}

// faults lists what does not fit, without the values: one may be a password.
func faults(e *jsonschema.ValidationError) []string {
	if len(e.Causes) > 0 {
		var out []string
		for _, c := range e.Causes {
			out = append(out, faults(c)...)
		}
		return out
	}
	at := strings.Join(e.InstanceLocation, ".")
	if at == "" {
		at = "the top"
	}
	what := ""
	switch k := e.ErrorKind.(type) {
	case *kind.Pattern:
		what = "does not match the pattern " + k.Want
	case *kind.Format:
		what = "is not valid " + k.Want
	case *kind.Minimum, *kind.Maximum, *kind.ExclusiveMinimum, *kind.ExclusiveMaximum, *kind.MultipleOf:
		what = "is not within " + strings.Join(e.ErrorKind.KeywordPath(), ".")
	case *kind.ContentMediaType, *kind.ContentEncoding:
		what = "is not encoded as it shall be"
	default:
		what = e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	}
	return []string{at + ": " + what}
}
