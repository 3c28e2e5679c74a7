package minimalimage

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// A start is how the containers of an image are started without a shell.
type start struct {
	entrypoint, cmd []string                    // of the image
	command, args   map[*app.Container][]string // of the manifests, where they change
	programs        []string                    // as they are called: "redis-server", "/usr/sbin/nginx", sorted
	shell           bool                        // a shell was taken out of a command
	shellFor        string                      // why a shell stays; "" where none does
}

// starts finds how the image's containers are to be started. The error says what
// needs a shell.
func (t *target) starts(a *app.App) (*start, error) {
	facts := t.facts(a)
	s := &start{entrypoint: facts.Entrypoint, cmd: facts.Cmd, command: map[*app.Container][]string{}, args: map[*app.Container][]string{}}
	if err := t.imageStart(a, s); err != nil {
		return nil, err
	}
	for _, c := range t.uses {
		argv, err := t.containerStart(a, s, c)
		if err != nil {
			return nil, err
		}
		if len(argv) == 0 {
			return nil, errors.New("neither the image nor the manifest says what to start")
		}
		s.programs = append(s.programs, called(argv[0], c, facts))
		for _, p := range hooks(c) {
			s.programs = append(s.programs, called(p[0], c, facts))
		}
	}
	s.unused(t)
	slices.Sort(s.programs)
	s.programs = slices.Compact(s.programs)
	return s, nil
}

// unused replaces the image's own start where every manifest has another: its
// program may not be there.
func (s *start) unused(t *target) {
	if slices.ContainsFunc(t.uses, func(c *app.Container) bool { return len(c.Spec.Command) == 0 }) {
		return
	}
	argv := t.uses[0].Spec.Command
	if other := s.command[t.uses[0]]; other != nil {
		argv = other
	}
	if slices.ContainsFunc(argv, func(w string) bool { return strings.Contains(w, "$(") }) {
		argv = argv[:1]
	}
	s.entrypoint, s.cmd = argv, nil
}

// called gives the name of a program as it is looked up: with its directory
// where it has one.
func called(name string, c *app.Container, facts app.ImageFacts) string {
	if !strings.Contains(name, "/") || path.IsAbs(name) {
		return name
	}
	dir := c.Spec.WorkingDir
	if dir == "" {
		dir = facts.WorkingDir
	}
	return path.Join("/", dir, name)
}

// hooks gives the commands that the kubelet runs inside the container: they are
// part of the application.
func hooks(c *app.Container) [][]string {
	var out [][]string
	add := func(e *corev1.ExecAction) {
		if e != nil && len(e.Command) > 0 {
			out = append(out, e.Command)
		}
	}
	for _, p := range []*corev1.Probe{c.Spec.StartupProbe, c.Spec.ReadinessProbe, c.Spec.LivenessProbe} {
		if p != nil {
			add(p.Exec)
		}
	}
	if l := c.Spec.Lifecycle; l != nil {
		for _, h := range []*corev1.LifecycleHandler{l.PostStart, l.PreStop} {
			if h != nil {
				add(h.Exec)
			}
		}
	}
	return out
}

// imageStart takes the shell out of the image's own command. What only the pod
// knows, such as a password, becomes arguments in the manifests.
func (t *target) imageStart(a *app.App, s *start) error {
	line, ok := shellLine(slices.Concat(s.entrypoint, s.cmd))
	if !ok {
		given := slices.ContainsFunc(t.uses, func(c *app.Container) bool { return len(c.Spec.Args) > 0 && len(c.Spec.Command) == 0 })
		if len(s.entrypoint) == 0 && !given {
			s.entrypoint, s.cmd = s.cmd, nil
		}
		return nil
	}
	words, err := splitLine(line)
	if err != nil {
		return fmt.Errorf("its command is a line for a shell: %w", err)
	}
	s.shell = true
	fixed := len(words)
	values := map[*app.Container][]string{}
	for _, c := range t.uses {
		if len(c.Spec.Command) > 0 {
			continue
		}
		if len(c.Spec.Args) > 0 {
			return errors.New("its command is a line for a shell, and the manifest gives that shell arguments")
		}
		argv, first, err := t.fill(a, c, words)
		if err != nil {
			return err
		}
		values[c], fixed = argv, min(fixed, first)
	}
	if fixed > 1 && fixed < len(words) && option(words[fixed-1]) {
		fixed-- // the option that the value belongs to
	}
	if fixed == 0 {
		return errors.New("its command names a program that only the pod knows")
	}
	s.entrypoint, s.cmd = nil, nil
	for _, c := range t.uses {
		if argv := values[c]; argv != nil {
			s.entrypoint = unescape(argv[:fixed])
			if fixed < len(argv) {
				s.args[c] = argv[fixed:]
			}
		}
	}
	return nil
}

// option says whether a word is an option without its value.
func option(w word) bool {
	return len(w) == 1 && w[0].name == "" && strings.HasPrefix(w[0].text, "-") && !strings.Contains(w[0].text, "=")
}

// containerStart gives what a container starts, and takes the shell out of a
// command that stands in its manifest.
func (t *target) containerStart(a *app.App, s *start, c *app.Container) ([]string, error) {
	if len(c.Spec.Command) == 0 {
		if len(c.Spec.Args) > 0 {
			return slices.Concat(s.entrypoint, c.Spec.Args), nil
		}
		return slices.Concat(s.entrypoint, s.cmd), nil
	}
	line, ok := shellLine(slices.Concat(c.Spec.Command, c.Spec.Args))
	if !ok {
		return c.Spec.Command, nil
	}
	words, err := splitLine(line)
	if err != nil {
		return nil, fmt.Errorf("the command of container %q is a line for a shell: %w", c.Spec.Name, err)
	}
	argv, _, err := t.fill(a, c, words)
	if err != nil {
		return nil, err
	}
	s.shell, s.command[c] = true, argv
	return argv, nil
}

// fill gives the words of a line as a manifest writes them, and the place of the
// first that holds a variable of the pod's.
func (t *target) fill(a *app.App, c *app.Container, words []word) (argv []string, first int, err error) {
	first = len(words)
	for i, w := range words {
		var b strings.Builder
		for _, p := range w {
			if p.name == "" {
				b.WriteString(strings.ReplaceAll(p.text, "$(", "$$("))
				continue
			}
			value, pods, err := t.value(a, c, p)
			if err != nil {
				return nil, 0, err
			}
			if b.WriteString(value); pods {
				first = min(first, i)
			}
		}
		argv = append(argv, b.String())
	}
	return argv, first, nil
}

// value gives what stands for a variable: $(NAME) where the pod has it, which the
// kubelet fills in, else what the image or the line itself says.
func (t *target) value(a *app.App, c *app.Container, p piece) (value string, pods bool, err error) {
	if v, ok, err := podValue(a, c, p.name); err != nil {
		return "", false, err
	} else if ok {
		if !p.quoted && (!v.known || v.text == "" || strings.ContainsAny(v.text, " \t\n*?[")) {
			return "", false, fmt.Errorf("a shell may make several words of $%s, which stands without quotes", p.name)
		}
		if v.optional || p.fallback && (!v.known || v.text == "") {
			return "", false, fmt.Errorf("the pod's $%s may be empty or unset, and only a shell can tell", p.name)
		}
		return "$(" + p.name + ")", true, nil
	}
	for _, kv := range t.facts(a).Env {
		if kv == p.name+"=" && p.fallback {
			continue
		}
		if v, ok := strings.CutPrefix(kv, p.name+"="); ok && (p.quoted || v != "" && !strings.ContainsAny(v, " \t\n*?[")) {
			return strings.ReplaceAll(v, "$(", "$$("), false, nil
		}
	}
	if p.fallback && (p.quoted || p.text != "" && !strings.ContainsAny(p.text, " \t*?[")) {
		return p.text, false, nil
	}
	return "", false, fmt.Errorf("neither the manifest of container %q nor the image gives $%s a value", c.Spec.Name, p.name)
}

// unescape gives words of a manifest as a Dockerfile has them.
func unescape(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, strings.ReplaceAll(w, "$$(", "$("))
	}
	return out
}
