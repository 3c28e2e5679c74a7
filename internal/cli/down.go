package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// A choiceOfDown says what down is to end.
type choiceOfDown struct {
	name   string // of an application, or its folder; "" for the only one
	port   int    // on which it answers; 0 for any
	all    bool   // every application that up -d started
	others bool   // the runs of other commands too
}

func (c *command) down() *cobra.Command {
	var d choiceOfDown
	cmd := &cobra.Command{
		Use:   "down [NAME | PATH]",
		Short: "End what road up -d started, and remove what killed runs left",
		Long: `down ends the application that road up -d started, and removes what runs that
were killed have left. Where several run, NAME, PATH or --port says which one, or
--all that all are meant. Runs of other commands that are going on are only named,
unless --others is given.`,
		Example: `  road down
  road down demo
  road down --port 8080`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				d.name = args[0]
			}
			if d.all && (d.name != "" || d.port != 0) {
				return usage(errors.New("--all leaves nothing to choose"), "leave it out, or the name and --port")
			}
			return c.endChosen(d)
		},
	}
	cmd.Flags().IntVar(&d.port, "port", 0, "end the application that answers on this port")
	cmd.Flags().BoolVar(&d.all, "all", false, "end every application that road up -d started")
	cmd.Flags().BoolVar(&d.others, "others", false, "end the runs of other commands too")
	return cmd
}

// endChosen ends what d chooses of what runs on this host.
func (c *command) endChosen(d choiceOfDown) error {
	if os.Geteuid() != 0 {
		return &fault{HostFault, errors.New("only root sees what runs and can end it"), "sudo road down"}
	}
	list, err := strays(c.ctx)
	if err != nil {
		return err
	}
	chosen, err := d.of(list)
	if err != nil {
		return err
	}
	var errs []error
	for i := range list {
		s := &list[i]
		switch {
		case !chosen[s.id]:
			c.say("road: goes on: %s", s.title())
		default:
			if err := s.end(); err != nil {
				errs = append(errs, fmt.Errorf("end %s: %w", s.title(), err))
				continue
			}
			c.say("road: ended %s", s.title())
		}
	}
	if len(chosen) == 0 {
		c.say("road: nothing to end")
	}
	return errors.Join(errs...)
}

// of gives the ids of the runs to end. It is an error where nobody can tell which
// application is meant, or where there is none of that name.
func (d choiceOfDown) of(list []stray) (map[string]bool, error) {
	chosen := map[string]bool{}
	var apps []string
	for i := range list {
		s := &list[i]
		switch {
		case !s.detached:
			if d.others {
				chosen[s.id] = true
			}
		case d.fits(s.running()):
			chosen[s.id] = true
			apps = append(apps, s.title())
		}
	}
	named := d.name != "" || d.port != 0
	switch {
	case len(apps) == 0 && named:
		return nil, usage(fmt.Errorf("no such application runs: %s", d), "road down without a name ends the only one, or lists them")
	case len(apps) > 1 && !d.all:
		return nil, usage(fmt.Errorf("%d applications run: %s", len(apps), strings.Join(apps, "; ")), "say which: road down NAME or --port PORT; or --all")
	}
	return chosen, nil
}

// fits says whether an application is meant.
func (d choiceOfDown) fits(r *running) bool {
	if d.port != 0 {
		u, err := url.Parse(r.URL)
		if err != nil || u.Port() != strconv.Itoa(d.port) {
			return false
		}
	}
	if d.name == "" || d.name == r.App {
		return true
	}
	path, err := filepath.Abs(d.name)
	if err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
	}
	return r.Path != "" && path == r.Path
}

// String is what was asked for.
func (d choiceOfDown) String() string {
	out := d.name
	if d.port != 0 {
		out = strings.TrimSpace(fmt.Sprintf("%s --port %d", out, d.port))
	}
	return out
}

// running is what up said of a run; empty for others.
func (s *stray) running() *running {
	r := &running{}
	_ = json.Unmarshal(s.info, r) // what is no such thing says nothing
	return r
}

// title names a run for people.
func (s *stray) title() string {
	if r := s.running(); r.App != "" {
		return fmt.Sprintf("%s at %d.0 on %s", r.App, r.Stop, r.URL)
	}
	return fmt.Sprintf("run %s (process %d)", s.id, s.pid)
}
