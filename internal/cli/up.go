package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/walk"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
)

// A running says what up has started. It travels from the world to the terminal
// and, for down, into the world's record.
type running struct {
	App   string   `json:"app"`
	Stop  int      `json:"stop"`
	Path  string   `json:"path,omitempty"` // the application's folder; "" for the demo
	URL   string   `json:"url"`
	Lines []string `json:"lines"` // what to try
	Holes bool     `json:"holes"` // it has holes on purpose
}

func (c *command) up() *cobra.Command {
	r := &run{command: c}
	var at string
	var port int
	s := &selection{}
	cmd := &cobra.Command{
		Use:   "up [PATH]",
		Short: "Run an application at a stop of the road, to try it by hand",
		Long: `up runs the application as it is at a stop of the road, on a loopback address of
this host, until Ctrl-C; with -d until road down. Without PATH it runs the
built-in demo, which is insecure on purpose: it runs any command that it is sent.
With --only it is the application as it came plus only those steps, so that what
one protection does can be tried without the others.`,
		Example: `  road up --at 1
  road up --at 2 -d --port 8080; road down --port 8080
  road up --only seccomp`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.at = true; len(s.only) == 0 || cmd.Flags().Changed("at") {
				s.to = at
			}
			r.output = "text"
			err := r.prepare(args, s)
			if port < 0 || port > 65535 {
				err = errors.Join(err, usage(fmt.Errorf("--port %d is not a port", port), "0 is a free one"))
			}
			if err == nil && outside() {
				err = free(port)
			}
			if err != nil {
				return err
			}
			r.engine.told = func(b json.RawMessage) { c.told(b) }
			return withEngine(c.ctx, r.engine, func(ctx context.Context, e sandbox.Engine, dir string) error {
				return r.up(ctx, e, dir, port)
			})
		},
	}
	r.engine.flags(cmd)
	r.grants.flags(cmd)
	cmd.Flags().StringVar(&at, "at", "1", "the stop: a number or the name of a step")
	cmd.Flags().IntVar(&port, "port", 0, "port on 127.0.0.1; 0 is a free one")
	cmd.Flags().BoolVarP(&r.engine.detach, "detach", "d", false, "go on in the background, until road down")
	cmd.Flags().DurationVar(&r.ready, "ready", 120*time.Second, "how long the application may take to get ready")
	cmd.Flags().StringSliceVar(&s.only, "only", nil, "take only these steps (names or numbers)")
	cmd.Flags().StringSliceVar(&s.skip, "skip", nil, "pass by these steps (names or numbers)")
	for _, name := range []string{"at", "only", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeSteps) // fails only for a flag that does not exist
	}
	return cmd
}

// free says early that a port is taken; the forwarder finds out for certain.
func free(port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return portTaken(err)
	}
	return l.Close()
}

func portTaken(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, os.ErrPermission) {
		return &fault{HostFault, err, "choose another port, or leave --port out for a free one"}
	}
	return err
}

func (r *run) up(ctx context.Context, e sandbox.Engine, dir string, port int) error {
	r.source.announce(r.command, "running")
	o, err := r.options(e, dir)
	if err != nil {
		return err
	}
	v := r.view()
	o.Events = v.event
	dep, a, rep, err := walk.Up(ctx, o)
	v.close()
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		dep.Stop(ctx) // the world goes with this process in any case
	}()
	service, number := front(a, dep)
	if service == "" {
		return usage(errors.New("no Service of the application leads to a pod"), "up needs a Service to forward to")
	}
	addr, err := dep.Publish(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), service, number)
	if err != nil {
		return portTaken(fmt.Errorf("forward to %s: %w", service, err))
	}
	info := describe(rep, a, addr.String(), r.source.path == "")
	if r.source.app != nil {
		info.Path = r.source.app.Root
	}
	for _, s := range rep.Stops {
		if s.Status == walk.LeftOut {
			r.say("road: %s was left out: %s", s.Step, s.Reason)
		}
	}
	if r.engine.detach {
		if err := detached(info); err != nil {
			return err
		}
	} else {
		r.running(info)
		r.say("road: Ctrl-C ends it")
	}
	<-ctx.Done()
	if !r.engine.detach {
		r.say("road: ended")
	}
	return nil
}

// front gives the Service and port that users ask.
func front(a *app.App, dep sandbox.Deployment) (string, int) {
	for _, h := range []*app.Hole{a.Config.Foothold.Command, a.Config.Foothold.Request} {
		if h != nil {
			return h.Service, h.Port
		}
	}
	id, port := dep.Front()
	w := a.Workload(id)
	best, bestPort := "", 0
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Service)
		if !ok || w == nil || o.Home() != w.Home() || !app.Selects(s.Spec.Selector, w.Meta.Labels) {
			continue
		}
		for _, p := range s.Spec.Ports {
			if int(p.Port) == port || p.TargetPort.IntValue() == port {
				return o.Name, int(p.Port)
			}
			if best == "" {
				best, bestPort = o.Name, int(p.Port)
			}
		}
	}
	return best, bestPort
}

// describe says what runs and what to try.
func describe(rep *walk.Report, a *app.App, addr string, isDemo bool) *running {
	info := &running{App: rep.App, URL: "http://" + addr, Stop: 1, Holes: isDemo || a.Config.Foothold.Command != nil}
	if n := len(rep.Stops); n > 0 {
		info.Stop = rep.Stops[n-1].Number
	}
	try := func(path string) {
		// The path comes from road.yaml and goes to a shell: no quote may end the word.
		info.Lines = append(info.Lines, fmt.Sprintf("curl '%s%s'", info.URL, strings.ReplaceAll(path, "'", "%27")))
	}
	try("/")
	if h := a.Config.Foothold.Command; h != nil {
		try(strings.ReplaceAll(h.Path, "{command}", "apt-get%20install%20-y%20ssh"))
		try(strings.ReplaceAll(h.Path, "{command}", "id"))
	}
	if h := a.Config.Foothold.Request; h != nil {
		try(strings.ReplaceAll(h.Path, "{uri}", "http://169.254.169.254/"))
	}
	return info
}

// running shows it: the address and the lines on stdout, the rest on stderr.
func (c *command) running(i *running) {
	c.say("road: %s at %d.0 answers on %s", i.App, i.Stop, i.URL)
	if i.Holes { // a warning is no note: -q does not silence it
		fmt.Fprintln(c.stderr, "road: WARNING: this application runs any command that it is sent. Only this host can reach it; end it when you are done.")
	}
	fmt.Fprintln(c.stdout, i.URL)
	c.say("road: try:")
	for _, l := range i.Lines {
		c.say("    %s", l)
	}
}

// told shows what a detached world has started.
func (c *command) told(b json.RawMessage) {
	i := &running{}
	if json.Unmarshal(b, i) != nil {
		return
	}
	c.running(i)
	c.say("road: road down ends it, or road down %s where others run beside it", i.App)
}
