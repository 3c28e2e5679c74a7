package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"road/internal/admission"
	"road/internal/render"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
)

// A level says what a missing ability costs.
type level string

const (
	fine    level = "ok"
	missing level = "missing" // road walk cannot run
	weaker  level = "weaker"  // some attacks are unproven, or some images cannot be had
	unknown level = "unknown" // could not be told in a short time; no failure
)

// An ability is one thing that a host has or lacks.
type ability struct {
	Name   string `json:"name"`
	Level  level  `json:"level"`
	Detail string `json:"detail"`
	Proves string `json:"proves"` // what it is needed for
	Mend   string `json:"mend,omitempty"`
}

// A diagnosis is what doctor found.
type diagnosis struct {
	Schema    string    `json:"schema"` // "road/doctor/v1"
	CanWalk   bool      `json:"canWalk"`
	Abilities []ability `json:"abilities"`
}

// An examination looks at one ability. It gives a level, what it saw, and the
// command that mends it.
type examination struct {
	name, proves string
	look         func(context.Context, *engineOptions) (level, string, string)
}

// patience is how long a look may take.
const patience = 4 * time.Second

// examinations are in the order in which a person would mend them.
var examinations = []examination{
	{"root", "namespaces, overlay mounts, cgroups", lookRoot},
	{"kernel", "a sandbox of Linux containers", lookKernel},
	{"OCI runtime", "containers", lookRuntime},
	{"probe", "attacks by code inside a container", lookBeside(probeProgram, missing)},
	{"renderer", "kustomizations and Helm charts", lookBeside(render.Program, weaker)},
	{"admission", "the step that has the cluster refuse weak pods", lookBeside(admission.Program, missing)},
	{"overlayfs", "a container's root file system", lookOverlay},
	{"nftables", "Services and network policies", lookNftables},
	{"cgroups", "resource limits and what a container uses", lookCgroups},
	{"seccomp", "system call filters", lookSeccomp},
	{"user namespaces", "pods whose root is nobody outside", lookUserNamespaces},
	{"audit", "learning system calls", lookAudit},
	{"mmdebstrap", "Debian and Ubuntu bases where no registry answers", lookMmdebstrap},
	{"package mirror", "bases from packages, and attacks that install software", lookMirror},
	{"registry", "images that are not built here", lookRegistry},
	{"disk", "images and build caches", lookDisk},
}

func (c *command) doctor() *cobra.Command {
	var output string
	o := &engineOptions{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host can prove, and the command that mends what it cannot",
		Long: `doctor looks at what this host has of what road needs. It changes nothing.

Exit status: 0 road walk can run here, 3 it cannot.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if output != "text" && output != "json" {
				return usage(fmt.Errorf("unknown output %q: want one of json, text", output), "")
			}
			if err := o.validate(); err != nil {
				return err
			}
			d := examine(c.ctx, o)
			if err := c.diagnosis(d, output); err != nil {
				return err
			}
			if !d.CanWalk {
				return exit(HostFault)
			}
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "what to write to stdout: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// examine looks at everything side by side.
func examine(ctx context.Context, o *engineOptions) *diagnosis {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := &diagnosis{Schema: "road/doctor/v1", CanWalk: true, Abilities: make([]ability, len(examinations))}
	var wg sync.WaitGroup
	for i, e := range examinations {
		wg.Go(func() {
			l, detail, mend := e.look(ctx, o)
			d.Abilities[i] = ability{e.name, l, detail, e.proves, mend}
		})
	}
	wg.Wait()
	for _, a := range d.Abilities {
		d.CanWalk = d.CanWalk && a.Level != missing
	}
	return d
}

func (c *command) diagnosis(d *diagnosis, output string) error {
	if output == "json" {
		e := json.NewEncoder(c.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	r := lipgloss.NewRenderer(c.stdout)
	color := func(s string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(s)) }
	marks := map[level]string{fine: color("2").Render("✓"), missing: color("1").Bold(true).Render("✗"),
		weaker: color("3").Render("!"), unknown: color("8").Render("?")}
	dim := color("8")
	width := 0
	for _, a := range d.Abilities {
		width = max(width, len(a.Name))
	}
	var b strings.Builder
	for _, a := range d.Abilities {
		fmt.Fprintf(&b, "%s %-*s  %s\n", marks[a.Level], width, a.Name, a.Detail)
		if a.Level == fine {
			continue
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", width, "", dim.Render("needed for "+a.Proves))
		if a.Mend != "" {
			fmt.Fprintf(&b, "  %-*s  mend it: %s\n", width, "", a.Mend)
		}
	}
	verdict := "road walk can run here"
	if !d.CanWalk {
		verdict = "road walk cannot run here"
	}
	fmt.Fprintf(&b, "\n%s\n", verdict)
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}
