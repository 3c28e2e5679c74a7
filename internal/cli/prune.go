package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"road/internal/image"

	"github.com/spf13/cobra"
)

// pruneSchema names the form of prune's -o json.
const pruneSchema = "road/prune/v1"

// A pruneReport is what prune did.
type pruneReport struct {
	Schema string `json:"schema"`
	Dir    string `json:"dir"`
	Freed  int64  `json:"freed"` // bytes on disk, the sum of what follows
	*image.Pruned
}

func (c *command) prune() *cobra.Command {
	var all bool
	var output string
	unused := 24 * time.Hour
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove images and build results that nobody used lately",
		Long: `prune removes from the image store, /var/lib/road or $ROAD_STATE, what nobody has
used for a day, or for as long as --older-than says: results of build steps, bases,
and images that were pulled; and what runs that were killed have left. With --all
everything goes. It is built and pulled anew when it is needed. Nothing is removed
while something runs that road started, since that needs its layers.

Exit status: 0, 2 bad input, 3 the host, or something runs.`,
		Example: `  road prune
  road prune --older-than 168h
  road prune --all -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case output != "text" && output != "json":
				return usage(fmt.Errorf("unknown output %q", output), "the outputs are: text, json")
			case all && cmd.Flags().Changed("older-than"):
				return usage(errors.New("--all leaves no age to choose"), "leave it out, or --older-than")
			case unused <= 0:
				return usage(fmt.Errorf("--older-than %s is no age", unused), "--all removes everything")
			}
			if all {
				unused = 0
			}
			return c.pruneStore(unused, output)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove everything, however lately it was used")
	cmd.Flags().DurationVar(&unused, "older-than", unused, "remove what nobody has used for so long")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output: text, json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *command) pruneStore(unused time.Duration, output string) error {
	if os.Geteuid() != 0 {
		return &fault{HostFault, errors.New("only root can remove what is in the image store"), "sudo road prune"}
	}
	list, err := strays(c.ctx) // which removes what dead runs left
	if err != nil {
		return err
	}
	p, err := image.Prune(c.ctx, image.Options{Dir: stateDir()}, unused)
	if errors.Is(err, image.ErrInUse) {
		var names []string
		for i := range list {
			names = append(names, list[i].title())
		}
		if len(names) > 0 {
			err = fmt.Errorf("%w: %s", err, strings.Join(names, "; "))
		}
		return &fault{HostFault, err, "wait until it has ended; road down ends what up -d started"}
	}
	if p == nil {
		return err
	}
	r := &pruneReport{pruneSchema, stateDir(), p.Total(), p}
	if output == "json" {
		b, err2 := json.MarshalIndent(r, "", "  ")
		if err2 == nil {
			_, err2 = fmt.Fprintln(c.stdout, string(b))
		}
		return errors.Join(err, err2)
	}
	_, err2 := fmt.Fprintf(c.stdout, "freed %s in %s: build results %s, bases %s, images %s, other %s\n",
		size(r.Freed), r.Dir, size(p.Cache), size(p.Bases), size(p.Images), size(p.Rest))
	return errors.Join(err, err2)
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20 || n == 0:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
