package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (c *command) version() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which road this is",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			switch output {
			case "text":
				_, err := fmt.Fprintf(c.stdout, "road %s\n", b)
				return err
			case "json":
				e := json.NewEncoder(c.stdout)
				e.SetIndent("", "  ")
				return e.Encode(b)
			}
			return usage(fmt.Errorf("unknown output %q: want one of text, json", output), "")
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "what to write to stdout: text, json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// A build says which road this is.
type build struct {
	Version   string `json:"version"`             // the module's; of a build from a work tree its commit; "(devel)" where neither is known
	Commit    string `json:"commit,omitempty"`    // whole; "" where the build was not told
	Dirty     bool   `json:"dirty,omitempty"`     // the work tree had changes that the commit has not
	Committed string `json:"committed,omitempty"` // when, RFC 3339
	Go        string `json:"go"`
	Platform  string `json:"platform"` // "linux/amd64"
}

// shortCommit is how much of a commit tells it from others, as in Go's own versions.
const shortCommit = 12

// devel is what Go calls a version that it does not know.
const devel = "(devel)"

// thisBuild reads what the Go tool stamped.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) build {
	b := build{Version: cmp.Or(info.Main.Version, devel), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Committed = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	if b.Version == devel && b.Commit != "" {
		b.Version = b.short()
		if b.Dirty {
			b.Version += "+dirty"
		}
	}
	return b
}

func (b build) short() string { return b.Commit[:min(len(b.Commit), shortCommit)] }

// String is the version, the commit where that does not tell it, and what built it.
func (b build) String() string {
	version := b.Version
	if b.Commit != "" && !strings.Contains(version, b.short()) {
		version += " (" + b.short() + ")"
	}
	return version + " " + b.Go + " " + b.Platform
}

// buildVersion is the version alone, for what reports name.
func buildVersion() string { return thisBuild().Version }

func sorted[V any](files map[string]V) []string {
	var names []string
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}
