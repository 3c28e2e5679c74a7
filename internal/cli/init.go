package cli

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/walk"

	"github.com/spf13/cobra"
)

func (c *command) init() *cobra.Command {
	return &cobra.Command{
		Use:   "init [PATH]",
		Short: "Write a road.yaml with what road infers",
		Long: `init writes road.yaml at the top of PATH with what road infers about the
application: where its images come from, how to see that it works, and what its
pods refer to and PATH lacks. It is to be read and corrected; road works without
it as well. A road.yaml that is there is never overwritten.`,
		Example: "  road init .",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			return c.outline(args[0])
		},
	}
}

// outline writes a folder's road.yaml.
func (c *command) outline(at string) error {
	name := filepath.Join(at, app.FileName)
	if _, err := os.Lstat(name); err == nil {
		return usage(fmt.Errorf("%s is there already", name), "move it away to have a new one written")
	}
	src, err := c.folder([]string{at})
	if err != nil {
		return err
	}
	c.passedBy(src)
	content := walk.Outline(src.app)
	if err := sameWith(src.app, content); err != nil {
		return err
	}
	if err := writeFiles(at, edit.Files{app.FileName: content}); err != nil {
		return err
	}
	fmt.Fprintln(c.stdout, name)
	c.say("road: read it and correct it, above all the checks; then: road walk %s", at)
	return nil
}

// sameWith refuses a road.yaml with which the application would be another.
func sameWith(a *app.App, content []byte) error {
	name := path.Join(a.Below, app.FileName)
	b, err := a.Anew(map[string][]byte{name: content})
	if err != nil {
		return fmt.Errorf("what was inferred is no road.yaml: %w", err)
	}
	ids := func(a *app.App) (out []string) {
		for _, w := range a.Workloads {
			out = append(out, w.ID())
		}
		return out
	}
	if was, is := ids(a), ids(b); !slices.Equal(was, is) {
		return fmt.Errorf("what was inferred is another application: it has %s, and not %s", strings.Join(is, ", "), strings.Join(was, ", "))
	}
	for _, p := range b.Problems {
		if p.File == name {
			return fmt.Errorf("what was inferred does not hold: %w", p)
		}
	}
	return nil
}
