package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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

// outline writes path's road.yaml.
func (c *command) outline(path string) error {
	name := filepath.Join(path, app.FileName)
	if _, err := os.Lstat(name); err == nil {
		return usage(fmt.Errorf("%s is there already", name), "move it away to have a new one written")
	}
	src, err := c.folder([]string{path})
	if err != nil {
		return err
	}
	c.passedBy(src)
	content := walk.Outline(src.app)
	if _, err := app.LoadFiles(src.app.Name, map[string][]byte{app.FileName: content}); err != nil {
		return errors.Join(errors.New("what was inferred is no road.yaml"), err)
	}
	if err := edit.Write(path, edit.Files{app.FileName: content}); err != nil {
		return &fault{HostFault, err, ""}
	}
	fmt.Fprintln(c.stdout, name)
	c.say("road: read it and correct it, above all the checks; then: road walk %s", path)
	return nil
}
