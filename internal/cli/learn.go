package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
)

func (c *command) learn() *cobra.Command {
	r := &run{command: c}
	var save string
	cmd := &cobra.Command{
		Use:   "learn [PATH]",
		Short: "Run an application and say what it needs",
		Long: `learn runs the application as it stands, asks its checks, makes every pod anew
once, and says what each container was seen to need: directories that it writes,
ports, connections, memory, processor, system calls. Nothing is attacked and no
file of PATH is changed.

--save FILE keeps it for "road fix --seen FILE", which then writes also what only
a run can tell: a read-only root with its volumes, limits, network policies.
It is only as complete as the checks in road.yaml.

Exit status: 0, 2 bad input or an application that does not work, 3 the host.`,
		Example: `  road learn .
  road learn --save seen.json . && road fix --seen seen.json .`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := errors.Join(r.prepare(args, &selection{}), savable("save", save)); err != nil {
				return err
			}
			return withEngine(c.ctx, r.engine, func(ctx context.Context, e sandbox.Engine, dir string) error {
				return r.learn(ctx, e, dir, save)
			})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&save, "save", "", "file to keep what was seen in, as JSON, for road fix --seen")
	_ = cmd.MarkFlagFilename("save", "json")
	return cmd
}

// savable refuses a place for the file of a flag that cannot be written before anything is started.
func savable(flag, name string) error {
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return usage(fmt.Errorf("--%s %s: not a regular file", flag, name), "give the name of a file")
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return usage(fmt.Errorf("--%s %s: %w", flag, name, err), "make the folder first")
	}
	return nil
}

func (r *run) learn(ctx context.Context, e sandbox.Engine, dir, save string) error {
	r.source.announce(r.command, "learning")
	o, err := r.options(e, dir)
	if err != nil {
		return err
	}
	v := r.view()
	o.Events = v.event
	rec, err := walk.Learn(ctx, o)
	v.close()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(rec, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if save != "" {
		if err := writeFiles(filepath.Dir(save), edit.Files{filepath.Base(save): text}); err != nil {
			return fmt.Errorf("save what was seen: %w", err)
		}
		r.say("road: saved in %s; road fix --seen %s uses it", save, save)
	}
	if r.output == "json" {
		_, err = r.stdout.Write(text)
		return err
	}
	return learned(r.stdout, rec)
}

// learnedWidth is that of the text, and labelsWidth that of its first column.
const (
	learnedWidth = 80
	labelsWidth  = 15
)

// learned writes a record as text.
func learned(w io.Writer, rec *app.Record) error {
	var b strings.Builder
	for _, id := range sorted(rec.Workloads) {
		for _, program := range rec.Workloads[id] {
			container, _, _ := strings.Cut(program, " ")
			if in := rec.Seen.Containers[id][container]; in != nil {
				fmt.Fprintf(&b, "%s  container %s\n", id, container)
				inside(&b, in)
				b.WriteString("\n")
			}
		}
	}
	fmt.Fprintf(&b, "Seen with %s: start, checks, one restart, end.\n", rec.Runtime)
	_, err := io.WriteString(w, walk.Escape(b.String()))
	return err
}

// inside writes what one container was seen to need.
func inside(b *strings.Builder, in *app.SeenInside) {
	line := func(label, text string) {
		wrapped := ansi.Wrap(text, learnedWidth-labelsWidth-2, "")
		hang := "\n" + strings.Repeat(" ", labelsWidth+2)
		fmt.Fprintf(b, "  %-*s%s\n", labelsWidth, label, strings.ReplaceAll(wrapped, "\n", hang))
	}
	line("writes", list(in.Written, "nothing outside of its volumes"))
	line("listens on", list(words(in.Listens), "no TCP port"))
	line("connects to", list(callsOut(in), "nobody"))
	line("capabilities", list(in.Capabilities, "not tried; road walk drops all and tries what root needs"))
	if p := in.Peak; p != nil {
		line("memory", fmt.Sprintf("%.1f MiB at most, without the page cache", float64(p.MemoryBytes)/(1<<20)))
		line("processor", fmt.Sprintf("%.2f cores at most, over 100 ms", float64(p.MilliCPU)/1000))
		line("disk", fmt.Sprintf("%.1f MiB in its writable layer", float64(p.LayerBytes)/(1<<20)))
	}
	switch s := in.SysCalls; {
	case s == nil:
		line("system calls", "not recorded")
	case s.Fault != "":
		line("system calls", "not known: "+s.Fault)
	default:
		line("system calls", fmt.Sprintf("%d (%s, %s): %s", len(s.Names), s.Architecture, s.Runtime, strings.Join(s.Names, " ")))
	}
}

func list(items []string, none string) string {
	if len(items) == 0 {
		return none
	}
	return strings.Join(items, ", ")
}

func words(ports []int) []string {
	var out []string
	for _, p := range ports {
		out = append(out, fmt.Sprint(p))
	}
	return out
}

// callsOut names what a container's pod called.
func callsOut(in *app.SeenInside) []string {
	var out []string
	for _, c := range in.Connects {
		to := c.Workload
		if to == "" {
			to = c.Host
		}
		out = append(out, fmt.Sprintf("%s (%s %d)", to, c.Protocol, c.Port))
	}
	if in.Resolves {
		out = append(out, "cluster DNS")
	}
	return out
}
