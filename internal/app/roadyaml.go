package app

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
)

// config reads the road.yaml of PATH, or gives an empty Config where there is none.
// One at the top of a wider folder is another application's.
func (l *loader) config() (*Config, error) {
	name := path.Join(l.app.Below, FileName)
	content, ok := l.files[name]
	if !ok || l.single {
		return &Config{}, nil
	}
	l.app.files[name] = content
	return parseConfig(name, content)
}

// parseConfig reads a road.yaml, whose paths start in its folder; the error is a
// *ConfigError with every fault.
func parseConfig(name string, content []byte) (*Config, error) {
	docs, err := Documents(content)
	if err != nil {
		p, _ := err.(Problem)
		p.File = name
		return nil, &ConfigError{[]Problem{p}}
	}
	if m := newLineMap(content); m != nil {
		for _, d := range docs {
			m.renumber(d)
		}
	}
	c := &Config{File: name, lines: map[string]int{}}
	s := &strict{file: name}
	if len(docs) > 1 {
		s.fault(docs[1], "", "%s holds one document", FileName)
	}
	if len(docs) > 0 {
		c.read(s, top(docs[0]))
	}
	if len(s.problems) > 0 {
		slices.SortStableFunc(s.problems, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
		return nil, &ConfigError{s.problems}
	}
	return c, nil
}

func (c *Config) read(s *strict, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	version := ""
	s.mapping(n, FileName,
		key{"apiVersion", s.str(&version, "apiVersion")},
		key{"manifests", func(n *yaml.Node) { c.readManifests(s, n) }},
		key{"kustomization", func(n *yaml.Node) { c.Kustomization = s.inside(n, "the folder of a kustomization") }},
		key{"helm", func(n *yaml.Node) { c.readHelm(s, n) }},
		key{"namespace", func(n *yaml.Node) { s.namespace(&c.Namespace, n) }},
		key{"images", func(n *yaml.Node) { c.readImages(s, n) }},
		key{"checks", func(n *yaml.Node) {
			s.items(n, "checks", func(n *yaml.Node) { c.Checks = append(c.Checks, readCheck(s, n)) })
		}},
		key{"foothold", func(n *yaml.Node) { c.readFoothold(s, n) }},
		key{"steps", func(n *yaml.Node) { c.readSteps(s, n) }},
		key{"services", func(n *yaml.Node) { c.readServices(s, n) }},
		key{"secrets", func(n *yaml.Node) { c.Secrets = readValues(s, n, "secret") }},
		key{"configMaps", func(n *yaml.Node) { c.ConfigMaps = readValues(s, n, "configMap") }},
		key{"target", func(n *yaml.Node) { c.readTarget(s, n) }},
		key{"exceptions", func(n *yaml.Node) { c.readExceptions(s, n) }},
	)
	if version != "road/v1" && n.Kind == yaml.MappingNode {
		at := n
		if v := field(n, "apiVersion"); v != nil {
			at = v
		}
		s.fault(at, "write apiVersion: road/v1", "apiVersion is not road/v1")
	}
	names := map[string]int{}
	for _, ch := range c.Checks {
		if line, twice := names[ch.Name]; twice && ch.Name != "" {
			s.fault(&yaml.Node{Line: ch.Line}, "", "a check is called %q already on line %d", ch.Name, line)
		}
		names[ch.Name] = ch.Line
	}
}

func (c *Config) readManifests(s *strict, n *yaml.Node) {
	s.items(n, "manifests", func(n *yaml.Node) {
		if p := s.inside(n, "a file or folder of manifests"); p != "" {
			c.Manifests = append(c.Manifests, p)
			c.lines["manifests "+p] = n.Line
		}
	})
}

// readHelm reads how a chart is rendered.
func (c *Config) readHelm(s *strict, n *yaml.Node) {
	c.Helm = &HelmConfig{}
	s.mapping(n, "helm",
		key{"chart", func(n *yaml.Node) { c.Helm.Chart = s.inside(n, "the folder of a chart") }},
		key{"release", s.str(&c.Helm.Release, "release")},
		key{"namespace", func(n *yaml.Node) { s.namespace(&c.Helm.Namespace, n) }},
		key{"values", func(n *yaml.Node) {
			s.items(n, "values", func(n *yaml.Node) {
				if p := s.inside(n, "a file of values"); p != "" {
					c.Helm.Values = append(c.Helm.Values, p)
				}
			})
		}})
	if c.Kustomization != "" {
		s.fault(n, "keep one of the two", "the application is a kustomization or a chart")
	}
}

// namespace reads the name of a namespace, which is a label of DNS.
func (s *strict) namespace(into *string, n *yaml.Node) {
	s.str(into, "namespace")(n)
	if faults := validation.IsDNS1123Label(*into); *into != "" && len(faults) > 0 {
		s.fault(n, "", "namespace %q: %s", *into, faults[0])
	}
}

// inside reads a path, relative to road.yaml, that must not lead out of Root, and
// gives it relative to that; "" where it does lead out.
func (s *strict) inside(n *yaml.Node, what string) string {
	if p := s.path(n, what); p != "" {
		return path.Join(path.Dir(s.file), p)
	}
	return ""
}

// path is inside for a path that is relative to something else as well.
func (s *strict) path(n *yaml.Node, what string) string {
	var p string
	s.str(&p, what)(n)
	if p == "" {
		return ""
	}
	p = path.Clean(filepath.ToSlash(p))
	if path.IsAbs(p) || !filepath.IsLocal(path.Join(path.Dir(s.file), p)) {
		s.fault(n, "give road the folder that holds all", "%s leads out of the folder of %s", p, FileName)
		return ""
	}
	return p
}

func (c *Config) readImages(s *strict, n *yaml.Node) {
	c.Images = map[string]ImageConfig{}
	s.each(n, "images", func(k, v *yaml.Node) {
		i := ImageConfig{Context: path.Dir(s.file)}
		if v.Kind == yaml.ScalarNode {
			i.Context = s.inside(v, "the folder of image "+k.Value)
		} else {
			s.mapping(v, "image "+k.Value,
				key{"context", func(n *yaml.Node) { i.Context = s.inside(n, "context") }},
				key{"dockerfile", func(n *yaml.Node) { i.Dockerfile = s.path(n, "dockerfile") }},
				key{"target", s.str(&i.Target, "target")},
				key{"args", s.table(&i.Args, "args")},
				key{"archive", func(n *yaml.Node) { i.Archive = s.inside(n, "archive") }})
			if i.Archive != "" && len(v.Content) > 2 {
				s.fault(v, "leave the other keys out", "image %s comes from an archive, so it is not built", k.Value)
			}
		}
		if name := imageName(k.Value); name != k.Value {
			s.fault(k, "write "+name, "an image's name here has no tag and no digest")
		}
		c.Images[k.Value] = i
		c.lines["images "+k.Value] = k.Line
	})
}

func readCheck(s *strict, n *yaml.Node) Check {
	c := Check{Line: n.Line}
	s.mapping(n, "a check",
		key{"name", s.str(&c.Name, "name")},
		key{"http", func(n *yaml.Node) { c.HTTP = readHTTP(s, n) }},
		key{"tcp", func(n *yaml.Node) { c.TCP = readTCP(s, n) }},
		key{"pod", func(n *yaml.Node) { c.Pod = readPod(s, n) }},
		key{"increases", s.truth(&c.Increases, "increases")},
		key{"restart", s.str(&c.Restart, "restart")},
		key{"from", func(n *yaml.Node) {
			s.mapping(n, "from",
				key{"workload", s.str(&c.From.Workload, "workload")},
				key{"namespace", s.str(&c.From.Namespace, "namespace")},
				key{"labels", s.table(&c.From.Labels, "labels")})
			if c.From.Workload != "" && (c.From.Namespace != "" || c.From.Labels != nil) {
				s.fault(n, "", "from names a workload, or a namespace and labels, not both")
			}
		}})
	if n.Kind != yaml.MappingNode {
		return c
	}
	if c.Name == "" {
		s.fault(n, "", "a check needs a name")
	}
	kinds := 0
	for _, has := range []bool{c.HTTP != nil, c.TCP != nil, c.Pod != nil} {
		if has {
			kinds++
		}
	}
	if kinds != 1 {
		s.fault(n, "", "check %q needs exactly one of http, tcp and pod", c.Name)
	}
	if c.Increases && (c.HTTP == nil || groups(c.HTTP.Body) == 0) {
		s.fault(n, `body: "visits: ([0-9]+)"`, "check %q: increases needs http with a body whose first group is the number", c.Name)
	}
	return c
}

// groups counts the groups of a regular expression, 0 where it is not one.
func groups(pattern string) int {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return 1 // already a fault of its own
	}
	return re.NumSubexp()
}

func readHTTP(s *strict, n *yaml.Node) *HTTPCheck {
	h := &HTTPCheck{Path: "/", Status: http.StatusOK}
	s.mapping(n, "http",
		key{"service", s.str(&h.Service, "service")},
		key{"port", s.number(&h.Port, 1, 65535, "port")},
		key{"path", s.str(&h.Path, "path")},
		key{"status", s.number(&h.Status, 100, 599, "status")},
		key{"body", s.pattern(&h.Body, "body")})
	s.target(n, h.Service, h.Port)
	s.slash(n, h.Path)
	return h
}

func readTCP(s *strict, n *yaml.Node) *TCPCheck {
	t := &TCPCheck{}
	s.mapping(n, "tcp",
		key{"service", s.str(&t.Service, "service")},
		key{"port", s.number(&t.Port, 1, 65535, "port")},
		key{"send", s.str(&t.Send, "send")},
		key{"expect", s.pattern(&t.Expect, "expect")})
	s.target(n, t.Service, t.Port)
	return t
}

func (s *strict) target(n *yaml.Node, service string, port int) {
	if n.Kind == yaml.MappingNode && (field(n, "service") == nil || field(n, "port") == nil) {
		s.fault(n, "", "service and port are needed")
	}
}

func (s *strict) slash(n *yaml.Node, p string) {
	if !strings.HasPrefix(p, "/") {
		s.fault(n, "write /"+p, "path begins with /")
	}
}

func readPod(s *strict, n *yaml.Node) *PodCheck {
	p := &PodCheck{}
	s.mapping(n, "pod",
		key{"image", s.str(&p.Image, "image")},
		key{"command", s.words(&p.Command, "command")},
		key{"env", func(n *yaml.Node) {
			p.Env = map[string]EnvValue{}
			s.each(n, "env", func(k, v *yaml.Node) { p.Env[k.Value] = readEnv(s, v) })
		}},
		key{"stdout", s.pattern(&p.Stdout, "stdout")})
	if n.Kind == yaml.MappingNode && (field(n, "image") == nil || field(n, "command") == nil) {
		s.fault(n, "", "image and command are needed")
	}
	return p
}

func readEnv(s *strict, n *yaml.Node) (e EnvValue) {
	if n.Kind == yaml.ScalarNode {
		s.str(&e.Value, "a variable")(n)
		return e
	}
	s.mapping(n, "a variable",
		key{"secret", s.str(&e.Secret, "secret")},
		key{"key", s.str(&e.Key, "key")})
	if n.Kind == yaml.MappingNode && (field(n, "secret") == nil || field(n, "key") == nil) {
		s.fault(n, "", "secret and key are needed")
	}
	return e
}

func (c *Config) readFoothold(s *strict, n *yaml.Node) {
	s.mapping(n, "foothold",
		key{"command", func(n *yaml.Node) { c.Foothold.Command = readHole(s, n, "{command}") }},
		key{"request", func(n *yaml.Node) { c.Foothold.Request = readHole(s, n, "{uri}") }})
}

func readHole(s *strict, n *yaml.Node, slot string) *Hole {
	h := &Hole{Path: "/"}
	s.mapping(n, "a way in",
		key{"service", s.str(&h.Service, "service")},
		key{"port", s.number(&h.Port, 1, 65535, "port")},
		key{"path", s.str(&h.Path, "path")})
	s.target(n, h.Service, h.Port)
	s.slash(n, h.Path)
	if n.Kind == yaml.MappingNode && !strings.Contains(h.Path, slot) {
		s.fault(n, fmt.Sprintf("path: /?q=%s", slot), "path does not say where %s goes", slot)
	}
	return h
}

func (c *Config) readSteps(s *strict, n *yaml.Node) {
	c.Steps = map[string]*Choices{}
	s.each(n, "steps", func(k, v *yaml.Node) {
		if k.Value == "tags" {
			if v.Value != "stop" {
				s.fault(v, "write tags: stop, or leave it out", "tags is not stop")
			}
			c.tags = v.Value
			return
		}
		if k.Value == "registry" {
			c.readRegistry(s, v)
			return
		}
		choices := &Choices{Line: k.Line, workloads: map[string]rawChoice{}}
		s.each(v, "step "+k.Value, func(w, v *yaml.Node) {
			switch v.Kind {
			case yaml.ScalarNode: // for every workload
				choices.all = append(choices.all, w, v)
				return
			case yaml.MappingNode:
			default:
				s.fault(v, "", "the choices for %s are a mapping", w.Value)
			}
			choices.workloads[w.Value] = rawChoice{w.Line, v}
		})
		c.Steps[k.Value] = choices
	})
}

// registryName is what may stand in front of an image's name: a host, which has
// a dot or a port or is localhost, and folders.
var registryName = regexp.MustCompile(`^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+|[a-z0-9.-]+:[0-9]+)(:[0-9]+)?(/[a-z0-9._-]+)*$`)

func (c *Config) readRegistry(s *strict, n *yaml.Node) {
	s.str(&c.registry, "registry")(n)
	if n.Kind == yaml.ScalarNode && !ValidRegistry(c.registry) {
		s.fault(n, "write registry: registry.example.com/folder, or registry: "+InProcess, "%q is no registry", c.registry)
		c.registry = ""
	}
}

// ValidRegistry says whether name is InProcess or may be a registry's.
func ValidRegistry(name string) bool { return name == InProcess || registryName.MatchString(name) }

// readValues reads what missing objects of a kind are made with.
func readValues(s *strict, n *yaml.Node, kind string) map[string]map[string]string {
	all := map[string]map[string]string{}
	s.each(n, kind+"s", func(k, v *yaml.Node) {
		var values map[string]string
		s.table(&values, kind+" "+k.Value)(v)
		all[k.Value] = values
	})
	return all
}
