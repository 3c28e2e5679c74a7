package app

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FileName is the name of the file, at the top of PATH, that holds what cannot
// be inferred.
const FileName = "road.yaml"

// A Config is road.yaml (apiVersion road/v1). Every field has a default, so an
// absent file is an empty Config.
type Config struct {
	File          string   // relative to Root; "" where there is no road.yaml
	Manifests     []string // files or folders; default: every manifest below Root
	Kustomization string   // folder of the kustomization that is the application; "" where road finds it by itself
	Helm          *HelmConfig

	Namespace string                       // where manifests that name none are applied: the NS of kubectl apply -n NS
	Images    map[string]ImageConfig       // by image name without tag
	Checks    []Check                      // the app works when all pass
	Foothold  Foothold                     // the app's own holes, where it has any
	Steps     map[string]*Choices          // by step name
	Secrets   map[string]map[string]string // by Secret name: values for what PATH refers to and lacks

	ConfigMaps map[string]map[string]string // the same for ConfigMaps
	Services   map[string]*StandIn          // by host name: who serves what the app calls and PATH lacks

	Target Target // the clusters that the manifests are for

	tags     string         // "" or "stop"
	registry string         // "", InProcess or a registry
	lines    map[string]int // where a thing that Load looks up stands: "images web", "manifests k8s"

	exceptions []Exception // with the workloads as they are written; see App.Exceptions
}

// dir is the folder of road.yaml, relative to Root.
func (c *Config) dir() string { return path.Dir(c.File) }

// A HelmConfig says how a chart is rendered. Every field has a default.
type HelmConfig struct {
	Chart     string // its folder; default: the only one
	Release   string // default: the chart's name
	Namespace string // default: Config.Namespace
	Values    []string
}

// An ImageConfig says where one image comes from. In YAML it is a mapping, or only
// the name of the context folder.
type ImageConfig struct {
	Context    string
	Dockerfile string // relative to Context, or where it does not stand there to the folder of road.yaml; default: Dockerfile
	Target     string
	Args       map[string]string

	// Archive is a file or folder that holds the image as it is, in place of all
	// others: a docker save file or an OCI layout.
	Archive string
}

// A Check is one thing that a legitimate client does. Exactly one of HTTP, TCP
// and Pod is set.
type Check struct {
	Name      string
	Line      int // in road.yaml; 0 for an inferred check
	HTTP      *HTTPCheck
	TCP       *TCPCheck
	Pod       *PodCheck
	Increases bool      // the first group of the body is a number, and greater on the next call
	Restart   string    // this workload's pods are made anew before the check
	From      CheckFrom // who asks; the zero value is the users' way in
}

// Asks gives the Service and port that the check asks, "" and 0 where a client
// program asks.
func (c *Check) Asks() (service string, port int) {
	switch {
	case c.HTTP != nil:
		return c.HTTP.Service, c.HTTP.Port
	case c.TCP != nil:
		return c.TCP.Service, c.TCP.Port
	}
	return "", 0
}

// A CheckFrom says where the client of a check stands.
type CheckFrom struct {
	Workload  string            // with this workload's labels
	Namespace string            // in this namespace
	Labels    map[string]string // with these labels
}

// An HTTPCheck is a request to a Service.
type HTTPCheck struct {
	Service string
	Port    int
	Path    string // default "/"
	Status  int    // default 200
	Body    string // regular expression, "" for any
}

// A TCPCheck is a connection to a Service.
type TCPCheck struct {
	Service string
	Port    int
	Send    string // "" sends nothing
	Expect  string // regular expression, "" for "it connects"
}

// A PodCheck is a client program, from one of the app's images as it was at 1.0.
type PodCheck struct {
	Image   string
	Command []string
	Env     map[string]EnvValue
	Stdout  string // regular expression
}

// An EnvValue is a literal, or a key of a Secret.
type EnvValue struct {
	Value       string
	Secret, Key string
}

// A Foothold tells how an attacker acts through holes of the app itself.
type Foothold struct {
	Command *Hole // runs {command}
	Request *Hole // fetches {uri}
}

// A Hole is one way in, in the form of an HTTP GET to a Service.
type Hole struct {
	Service string
	Port    int
	Path    string // holds {command} or {uri}, which is put in query-escaped
}

// A ConfigError is everything that is wrong in road.yaml, in the order of lines.
type ConfigError struct{ Problems []Problem }

// Error gives one line per fault: "road.yaml:7: unknown key ...".
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// A StepKey is one key below steps: in road.yaml, which names a step.
type StepKey struct {
	Pos
	Step string
}

// StepKeys lists the steps for which road.yaml holds choices, in the order in
// which they stand. Package app knows no steps: who does, rejects the others.
func (c *Config) StepKeys() []StepKey {
	var keys []StepKey
	for name, s := range c.Steps {
		keys = append(keys, StepKey{Pos{File: c.File, Line: s.Line}, name})
	}
	slices.SortFunc(keys, func(a, b StepKey) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.Step, b.Step)) })
	return keys
}

// Choices are the choices for one step: by workload name or ID, kept as they
// were written until the step asks for them in its own form.
type Choices struct {
	Line      int
	all       []*yaml.Node // keys and values for every workload
	workloads map[string]rawChoice
}

// TagsByStop says whether a step that changes an image names the image after
// the stop ("steps: {tags: stop}"): the demo's choice. Default: tags are never
// touched.
func (c *Config) TagsByStop() bool { return c.tags == "stop" }

// Registry is where the images that are built from PATH are meant to be pushed, to
// be pinned by digest ("steps: {registry: ...}"): InProcess, a registry's name with
// folders behind it perhaps, or "" for nowhere. Nothing is pushed to a registry
// because of it alone.
func (c *Config) Registry() string { return c.registry }

// Choose chooses value for key in a step, for every workload for which road.yaml
// does not choose otherwise, as the line "key: value" below the step's name would.
func (c *Config) Choose(step, key, value string) {
	if c.Steps == nil {
		c.Steps = map[string]*Choices{}
	}
	if c.Steps[step] == nil {
		c.Steps[step] = &Choices{}
	}
	scalar := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	s := c.Steps[step]
	for i := 0; i < len(s.all); i += 2 {
		if s.all[i].Value == key {
			s.all = slices.Delete(slices.Clone(s.all), i, i+2)
			break
		}
	}
	s.all = append(s.all, scalar(key), scalar(value))
}

// Choice decodes what road.yaml chooses for workload in step into into, a
// pointer to a struct with json tags. It leaves into as it was where nothing is
// chosen; an unknown key or a wrong type is a Problem with its line.
func (c *Config) Choice(step string, w *Workload, into any) error { return c.choice(step, w, into) }
