package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"road/demo"
	"road/internal/app"
	"road/internal/render"
	"road/internal/step"

	"github.com/spf13/cobra"
)

// demoName is how reports name the built-in application.
const demoName = "demo"

// stdinName is how standard input is named on the command line.
const stdinName = "-"

// maxInput bounds what is read from standard input, in bytes.
const maxInput = 256 << 20

// A source is the application that a command is about.
type source struct {
	path string // "" for the demo, "-" for standard input
	app  *app.App
}

// place gives a place as this command's user can open it: below PATH.
func (s *source) place(p app.Pos) string {
	if s.path == stdinName || s.path == "" {
		return p.String()
	}
	dir := s.path
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	file := filepath.FromSlash(p.File)
	if s.app != nil && s.app.Below != "" {
		if rel, err := filepath.Rel(filepath.FromSlash(s.app.Below), file); err == nil {
			file = rel
		}
	}
	p.File = filepath.Join(dir, file)
	return p.String()
}

// placed has the places in a fault of the application's, if err is one, named as
// this command's user can open them.
func (s *source) placed(err error) error {
	var conf *app.ConfigError
	if !errors.As(err, &conf) {
		return err
	}
	out := &app.ConfigError{}
	for _, p := range conf.Problems {
		p.File = s.place(app.Pos{File: p.File})
		out.Problems = append(out.Problems, p)
	}
	return &fault{BadInput, out, ""}
}

// oneFile says that PATH is a file and no folder.
func (s *source) oneFile() bool {
	info, err := os.Stat(s.path)
	return err == nil && !info.IsDir()
}

// problem is a Problem in one line, with its hint.
func (s *source) problem(p app.Problem) string {
	return step.WithHint(s.place(p.Pos)+": "+p.Message, p.Hint)
}

// folder takes the PATH of a command that runs things; none is the demo.
// Everything that is wrong with it is found here, before anything starts.
func (c *command) folder(args []string) (*source, error) {
	if len(args) == 0 {
		return &source{}, nil
	}
	if args[0] == stdinName {
		return nil, usage(errors.New("standard input holds no images to build: give a folder"), "road check - reads manifests from standard input")
	}
	info, err := os.Stat(args[0])
	if err != nil {
		return nil, notThere(args[0], err)
	}
	if !info.IsDir() {
		return nil, usage(fmt.Errorf("%s is not a folder", args[0]), "give the folder that holds the manifests and the Dockerfiles")
	}
	s := &source{path: args[0]}
	if s.app, err = loadPath(args[0]); err != nil {
		return nil, err
	}
	c.widened(s)
	if len(s.app.Workloads) == 0 {
		err := fmt.Errorf("nothing to walk: %s has no Kubernetes workload", args[0])
		for _, p := range s.app.Problems {
			err = errors.Join(err, p)
		}
		return nil, usage(err, "give the folder that holds the manifests and the Dockerfiles, or none for the built-in demo")
	}
	return s, nil
}

func notThere(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return usage(fmt.Errorf("%s does not exist", path), "give a folder with manifests and Dockerfiles, or none for the built-in demo")
	}
	return usage(err, "")
}

// loadPath loads a folder or a file and refuses choices for steps that there
// are not.
func loadPath(path string) (*app.App, error) {
	s := &source{path: path}
	a, err := app.Load(path)
	if err != nil {
		if errors.As(err, new(*render.HostError)) {
			return nil, &fault{HostFault, err, ""}
		}
		hint := ""
		if e := (*render.Error)(nil); errors.As(err, &e) {
			hint, err = e.Hint, errors.New(s.place(app.Pos{File: e.File, Line: e.Line})+": "+e.Message)
		}
		return nil, s.placed(&fault{BadInput, err, hint})
	}
	s.app = a
	return a, s.unknownSteps()
}

// widened says which folder is read where PATH uses what lies beside it.
func (c *command) widened(s *source) {
	if s.app.Below != "." {
		c.say("road: %s uses what lies beside it, so all of %s is read", s.path, s.app.Root)
	}
}

// unknownSteps refuses choices and exceptions for steps that there are not, and
// exceptions that are wrong in themselves.
func (s *source) unknownSteps() error {
	exceptions, err := s.app.Exceptions()
	if err != nil {
		return s.placed(err)
	}
	var errs []error
	for _, k := range s.app.Config.StepKeys() {
		if find(k.Step) == 0 {
			errs = append(errs, fmt.Errorf("%s: no step is called %q", s.place(k.Pos), k.Step))
		}
	}
	for _, x := range exceptions {
		if !slices.Contains(names(), x.Step) {
			errs = append(errs, fmt.Errorf("%s: no step is called %q", s.place(x.Pos), x.Step))
		}
	}
	if len(errs) > 0 {
		return usage(errors.Join(errs...), "the steps are: "+strings.Join(names(), ", "))
	}
	return nil
}

// materialize gives the folder to walk: PATH itself, or the demo below dir.
func (s *source) materialize(dir string) (root, name string, err error) {
	if s.path != "" {
		at, err := filepath.Abs(s.path)
		return s.app.Root, filepath.Base(at), err
	}
	root = filepath.Join(dir, "source", demoName)
	if err := demo.Extract(root); err != nil {
		return "", "", fmt.Errorf("unpack the demo: %w", err)
	}
	return root, demoName, nil
}

// hasManifests looks for a manifest in dir and the folders right below it. It
// is only for a hint, so it does not read a whole home folder.
func hasManifests(dir string) bool {
	const most = 50
	files := map[string][]byte{}
	for _, pattern := range []string{"*.yaml", "*.yml", "*/*.yaml", "*/*.yml"} {
		names, _ := filepath.Glob(filepath.Join(dir, pattern)) // fails for a bad pattern only
		for _, name := range names[:min(len(names), most)] {
			info, err := os.Stat(name)
			if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
				continue
			}
			if content, err := os.ReadFile(name); err == nil {
				files[filepath.ToSlash(name)] = content
			}
		}
	}
	a, err := app.LoadFiles("", files)
	return err == nil && len(a.Workloads) > 0
}

// announce says which application it is about, where that is not obvious.
func (s *source) announce(c *command, verb string) {
	if s.path != "" {
		return
	}
	c.say("road: %s the built-in demo, an application that is insecure on purpose", verb)
	// A road.yaml right below says where the application is.
	if names, _ := filepath.Glob("*/" + app.FileName); len(names) == 1 {
		c.say("road: hint: %s is an application: road walk %s", filepath.Dir(names[0]), filepath.Dir(names[0]))
		return
	}
	if hasManifests(".") {
		c.say("road: hint: this folder has manifests: road walk .")
	}
}

// read takes the PATH of a command that only reads: a folder, a file, standard
// input, or none for the current folder.
func (c *command) read(args []string) (*source, error) {
	path := "."
	if len(args) > 0 {
		path = args[0]
	}
	if path != stdinName {
		if _, err := os.Stat(path); err != nil {
			return nil, notThere(path, err)
		}
		a, err := loadPath(path)
		if err != nil {
			return nil, err
		}
		s := &source{path, a}
		c.widened(s)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			c.say("road: only %s was read: not the Dockerfiles of its images, nor a road.yaml; road %s %s reads all", path, c.name, filepath.Dir(path))
		}
		return s, s.broken()
	}
	content, err := io.ReadAll(io.LimitReader(c.stdin, maxInput+1))
	if err != nil {
		return nil, &fault{HostFault, fmt.Errorf("read standard input: %w", err), ""}
	}
	if len(content) > maxInput {
		return nil, usage(fmt.Errorf("standard input is larger than %d MiB", maxInput>>20), "check it in parts")
	}
	a, err := app.LoadFiles("stdin", map[string][]byte{stdinName: content})
	if err != nil {
		return nil, &fault{BadInput, err, ""}
	}
	s := &source{path, a}
	return s, errors.Join(s.broken(), s.unknownSteps())
}

// broken refuses a file that was named on the command line and that, or an object
// in it, could not be read. In a folder such files are passed by.
func (s *source) broken() error {
	path, a := s.path, s.app
	info, err := os.Stat(path)
	if path != stdinName && (err != nil || info.IsDir()) {
		return nil
	}
	var errs []error
	hint := ""
	for _, p := range a.Problems {
		if !p.Unread {
			continue
		}
		errs = append(errs, errors.New(s.place(p.Pos)+": "+p.Message))
		if hint == "" {
			hint = p.Hint
		}
	}
	if len(errs) > 0 {
		return usage(errors.Join(errs...), hint)
	}
	if len(a.Objects) == 0 {
		name := path
		if path == stdinName {
			name = "standard input"
		}
		return usage(fmt.Errorf("%s holds no Kubernetes object", name), "road reads manifests: YAML or JSON with apiVersion and kind")
	}
	return nil
}

// selection is what --to, --only and --skip choose.
type selection struct {
	to         string
	at         bool // to was given as --at
	only, skip []string
}

func (s *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.to, "to", "", "the last stop: a number or the name of a step")
	cmd.Flags().StringSliceVar(&s.only, "only", nil, "take only these steps (names or numbers)")
	cmd.Flags().StringSliceVar(&s.skip, "skip", nil, "pass by these steps (names or numbers)")
	for _, name := range []string{"to", "only", "skip"} {
		_ = cmd.RegisterFlagCompletionFunc(name, completeSteps) // fails only for a flag that does not exist
	}
}

// A chosen is a selection as package walk takes it.
type chosen struct {
	to         int
	only, skip []string
	filter     filterChoice // of fix; a run has its own
}

func (s *selection) resolve() (chosen, error) {
	var ch chosen
	var errs []error
	stop := func(flag, value string) *step.Step {
		n := find(value)
		if n < 2 {
			errs = append(errs, fmt.Errorf("--%s: no step is called %q", flag, value))
			return nil
		}
		return road()[n-2]
	}
	if s.to != "" {
		if ch.to = find(s.to); ch.to == 0 {
			flag := "to"
			if s.at {
				flag = "at"
			}
			errs = append(errs, fmt.Errorf("--%s: no stop is called %q", flag, s.to))
		}
	}
	for _, v := range s.only {
		if st := stop("only", v); st != nil {
			ch.only = append(ch.only, st.Name)
		}
	}
	for _, v := range s.skip {
		if st := stop("skip", v); st != nil {
			ch.skip = append(ch.skip, st.Name)
		}
	}
	switch {
	case len(errs) > 0 && s.at:
		return ch, usage(errors.Join(errs...), "the stops are: 1 as it came, "+strings.Join(numbered(), ", "))
	case len(errs) > 0:
		return ch, usage(errors.Join(errs...), "the steps are: "+strings.Join(numbered(), ", "))
	}
	return ch, nil
}
