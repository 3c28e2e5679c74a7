package walk

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
)

// What is secret: every value of a Secret, in PATH or in road.yaml, and every
// other value that goes by the name of a secret, such as DB_PASSWORD: in env,
// ConfigMaps, images, Dockerfiles and arguments.
//
// What is shown all the same, since a report without it would tell nothing, its
// diffs could not be applied, and it is no secret: a value under a name such as
// username or port, a value that a name in the application holds (a password
// "postgres" beside a Service "postgres" hides nothing), a number that may be a
// port or a uid, YAML's own words, and what is shorter than four bytes.

// secretWord is a word in a name that makes its value secret: also at the end of
// one without a break, as in PGPASSWORD.
var secretWord = regexp.MustCompile(`^(pass|pwd|keys?|apikeys?|.*(password|passwd|passphrase|secret|token|credential)s?)$`)

// plainWord is a last word of a name that makes its value no secret.
var plainWord = regexp.MustCompile(`^(user|username|host|hostname|port|db|dbname|database|name|file|path|dir)$`)

// plainValue is a value that says nothing.
var plainValue = regexp.MustCompile(`^(.{0,3}|[0-9]{1,5}|(?i:true|false|null|none))$`)

// isSecret says whether a value that goes by name is secret.
func isSecret(name string) bool {
	list := nameWords(name)
	return slices.ContainsFunc(list, secretWord.MatchString) && !isPlain(name)
}

func isPlain(name string) bool {
	list := nameWords(name)
	return len(list) > 0 && plainWord.MatchString(list[len(list)-1])
}

// nameWords gives the words of a name in small letters: of DB_PASSWORD, db-password
// and dbPassword the same.
func nameWords(name string) []string {
	var b strings.Builder
	before := ' '
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(before) {
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		before = r
	}
	return strings.FieldsFunc(b.String(), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// secretsOf gives the secret values in the sources of a to found.
func secretsOf(a *app.App, found func(v string)) {
	whole := func(name, v string) {
		if !isPlain(name) {
			found(v)
		}
		inText(v, found)
	}
	literal := func(name, v string) {
		if isSecret(name) {
			found(v)
		}
		inText(v, found)
	}
	for _, o := range a.Objects {
		switch t := o.Typed.(type) {
		case *corev1.Secret:
			for k, v := range t.Data {
				whole(k, string(v))
			}
			each(t.StringData, whole)
		case *corev1.ConfigMap:
			each(t.Data, literal)
		}
	}
	for _, values := range a.Config.Secrets {
		each(values, whole)
	}
	for _, values := range a.Config.ConfigMaps {
		each(values, literal)
	}
	ofPods(a, literal)
	ofImages(a, literal)
}

func each(values map[string]string, f func(name, v string)) {
	for k, v := range values {
		f(k, v)
	}
}

// ofPods gives what pods are told: the application's, and those of checks and
// stand-ins.
func ofPods(a *app.App, literal func(name, v string)) {
	told := func(argv []string, env map[string]app.EnvValue) {
		for k, v := range env {
			literal(k, v.Value)
		}
		literal("", strings.Join(argv, "\n"))
	}
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			for _, e := range c.Spec.Env {
				literal(e.Name, e.Value)
			}
			told(slices.Concat(c.Spec.Command, c.Spec.Args), nil)
		}
	}
	for _, c := range a.Config.Checks {
		if c.Pod != nil {
			told(c.Pod.Command, c.Pod.Env)
		}
	}
	for _, s := range a.Config.Services {
		told(slices.Concat(s.Command, s.Args), s.Env)
	}
}

// ofImages gives what builds are told.
func ofImages(a *app.App, literal func(name, v string)) {
	for _, i := range slices.Concat(a.Images, a.StandIns) {
		if i.Build != nil {
			each(i.Build.Args, literal)
		}
	}
	for _, d := range a.Dockerfiles {
		literal("", string(d.Content))
		for _, kv := range oldEnv.FindAllSubmatch(d.Content, -1) {
			literal(string(kv[1]), string(kv[2]))
		}
	}
}

// oldEnv is ENV as it was written once, with a space.
var oldEnv = regexp.MustCompile(`(?mi)^[ \t]*ENV[ \t]+(\w+)[ \t]+([^\s=].*)$`)

// pair is a setting in a text of any kind: PASSWORD=x, "password": "x", --password=x.
// What a shell or a template fills in is no value, nor is a path.
var pair = regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.-]*)["']?[ \t]*[:=][ \t]*("[^"\n]*"|'[^'\n]*'|[^\s"',;{}()]+)`)

// anyKey is what every mapping calls its keys.
var anyKey = regexp.MustCompile(`(?i)^keys?$`)

// inText gives the secret values in a text: a configuration file, a Dockerfile, a
// command. Passwords in addresses are found by their form.
func inText(s string, found func(v string)) {
	for _, m := range pair.FindAllStringSubmatch(s, -1) {
		v := strings.Trim(m[2], `"'`)
		if isSecret(m[1]) && !anyKey.MatchString(m[1]) && !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "$") {
			found(v)
		}
	}
	for _, m := range login.FindAllStringSubmatch(s, -1) {
		found(m[2])
	}
}

// names are what things are called in the application.
type names []string

// show says whether a value is shown as it is.
func (n names) show(v string) bool {
	return plainValue.MatchString(v) || slices.ContainsFunc(n, func(name string) bool { return strings.Contains(name, v) })
}

// namesOf gives the names in the sources of a: of its files, its objects, their
// parts and fields, images and users.
func namesOf(a *app.App) names {
	n := names{a.Name}
	for name, content := range a.Files() {
		n = append(n, name)
		if name == a.Config.File {
			n.read(content)
		}
	}
	for _, m := range a.Manifests {
		n.read(m.Content)
	}
	for _, d := range a.Dockerfiles {
		for _, s := range d.Stages {
			n = append(n, s.Name, withoutDigest(s.Base))
			for _, in := range s.Instructions {
				if in.Name == "USER" {
					n = append(n, in.Args)
				}
			}
		}
	}
	return n
}

// naming are the fields of manifests and road.yaml whose values are names.
var naming = regexp.MustCompile(`^(name|namespace|kind|apiVersion|host|hostname|subdomain|context|dockerfile|target|workload|[a-z]+[nN]ame|mountPath|subPath|key)$`)

// holding are the fields below which everything but the keys is a value.
var holding = regexp.MustCompile(`^(data|stringData|binaryData|secrets|configMaps|annotations|args)$`)

func (n *names) read(content []byte) {
	docs, _ := app.Documents(content) // what stands before a fault
	for _, d := range docs {
		n.walk(d, "", false)
	}
}

// walk goes through a node below field; in values only the keys are names. It does
// not follow aliases: what they lead to stands somewhere itself.
func (n *names) walk(node *yaml.Node, field string, values bool) {
	switch node.Kind {
	case yaml.ScalarNode:
		switch {
		case values:
		case field == "image":
			*n = append(*n, withoutDigest(node.Value))
		case naming.MatchString(field), field == "labels":
			*n = append(*n, node.Value)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			k, v := node.Content[i], node.Content[i+1]
			*n = append(*n, k.Value)
			below := k.Value
			if field == "labels" || field == "matchLabels" || field == "selector" {
				below = "labels"
			}
			isEnv := k.Value == "env" && v.Kind == yaml.MappingNode
			n.walk(v, below, values || isEnv || holding.MatchString(k.Value))
		}
	default:
		for _, c := range node.Content {
			n.walk(c, field, values)
		}
	}
}

// withoutDigest leaves what says nothing out of an image's name, in which a value
// might stand by chance.
func withoutDigest(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	return path.Clean(name)
}
