package walk

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Outline gives a road.yaml with what a walk of a would infer, and with what it
// cannot infer as comments, to be corrected by its owner.
func Outline(a *app.App) []byte {
	var b strings.Builder
	b.WriteString(`# What road cannot know about this application. Everything here was found in the
# folder: correct what is wrong, take out what may be found anew each time.
apiVersion: road/v1
`)
	outlineManifests(&b, a)
	outlineImages(&b, a)
	outlineChecks(&b, a)
	outlineFoothold(&b, a)
	outlineMissing(&b, a)
	outlineServices(&b, a)
	b.WriteString(`# target: {kubernetes: "1.33", runtime: containerd-1.7} # where the clusters are not of today; also openshift: true
# exceptions: # from steps, until the end of a day; then check counts them again
# - {step: read-only-root, workload: NAME, reason: why, until: YYYY-MM-DD}
`)
	return []byte(b.String())
}

// fromBelow gives a place as road.yaml names it: from its own folder, which is not
// the application's where that uses what lies beside PATH.
func fromBelow(a *app.App, name string) string {
	rel, err := filepath.Rel(filepath.FromSlash(cmp.Or(a.Below, ".")), filepath.FromSlash(name))
	if err != nil {
		return name
	}
	return filepath.ToSlash(rel)
}

// placed is fromBelow for a place in a file.
func placed(a *app.App, p app.Pos) string {
	p.File = fromBelow(a, p.File)
	return comment(p.String())
}

// outlineSource names what is rendered.
func outlineSource(b *strings.Builder, a *app.App) {
	s := a.Rendered.Source
	dir := scalar(fromBelow(a, s.Dir))
	if !s.Chart {
		fmt.Fprintf(b, "kustomization: %s # its folder; what it is built to is the application\n", dir)
		return
	}
	fmt.Fprintf(b, "helm: {chart: %s} # its folder; also release: NAME, namespace: NAME, values: [FILE]\n", dir)
}

// outlineManifests names the folders, or the files at the top, that hold objects.
func outlineManifests(b *strings.Builder, a *app.App) {
	if a.Rendered != nil {
		outlineSource(b, a)
		return
	}
	var places []string
	for _, o := range a.Objects {
		place := path.Dir(o.File)
		if place == "." {
			place = o.File
		}
		if !slices.ContainsFunc(places, func(p string) bool { return place == p || strings.HasPrefix(place, p+"/") }) {
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		return
	}
	b.WriteString("manifests: # files and folders; without this, every manifest below here\n")
	for _, p := range places {
		fmt.Fprintf(b, "- %s\n", scalar(p))
	}
}

// outlineImages ties images to Dockerfiles, or says where they come from.
func outlineImages(b *strings.Builder, a *app.App) {
	var lines, pulled []string
	done := map[string]bool{}
	for _, i := range a.Images {
		if done[i.Name] {
			continue
		}
		done[i.Name] = true
		if b := i.Broken; b != nil {
			pulled = append(pulled, fmt.Sprintf("  # %s: its Dockerfile could not be read: %s: %s\n", comment(i.Ref), comment(app.Pos{File: fromBelow(a, b.File), Line: b.Line}.String()), comment(b.Message)))
			continue
		}
		if i.Build == nil {
			pulled = append(pulled, fmt.Sprintf("  # %s is pulled from its registry; from a file: %s: {archive: FILE}\n", comment(i.Ref), comment(i.Name)))
			continue
		}
		from := scalar(fromBelow(a, i.Build.Context))
		if d := i.Build.Dockerfile.File; d != path.Join(i.Build.Context, "Dockerfile") {
			from = fmt.Sprintf("{context: %s, dockerfile: %s}", from, scalar(strings.TrimPrefix(d, i.Build.Context+"/")))
		}
		lines = append(lines, fmt.Sprintf("  %s: %s # %s, by %s\n", scalar(i.Name), from, comment(fromBelow(a, i.Build.Dockerfile.File)), i.Build.Inferred))
	}
	for _, d := range a.Dockerfiles {
		tied := slices.ContainsFunc(slices.Concat(a.Images, a.StandIns), func(i *app.Image) bool { return i.Build != nil && i.Build.Dockerfile == d })
		if !tied {
			pulled = append(pulled, fmt.Sprintf("  # %s makes no image that road knows; to tie it to one: NAME: %s\n", comment(fromBelow(a, d.File)), comment(scalar(fromBelow(a, path.Dir(d.File))))))
		}
	}
	if len(lines) == 0 {
		b.WriteString("# images: # name in the manifests, without tag: folder with its Dockerfile\n")
		for _, p := range pulled {
			b.WriteString(strings.Replace(p, "  # ", "#   ", 1))
		}
		return
	}
	b.WriteString("images: # name in the manifests, without tag: folder with its Dockerfile\n")
	b.WriteString(strings.Join(append(lines, pulled...), ""))
}

// outlineChecks writes a check for each port of a Service: the request of the
// container's own probe where it has one for that port, else a connection.
func outlineChecks(b *strings.Builder, a *app.App) {
	checks := inferred(a)
	if len(checks) == 0 {
		b.WriteString("# checks: # no Service leads to a pod, so the application works when every pod gets ready\n")
		return
	}
	b.WriteString("checks: # the application works when all pass; a body that is compared proves most\n")
	for _, c := range checks {
		service, port := c.Asks()
		fmt.Fprintf(b, "- name: %s\n", scalar(fmt.Sprintf("%s-%d", service, port)))
		if p := probePath(a, service, port); p != "" {
			fmt.Fprintf(b, "  http: {service: %s, port: %d, path: %s, status: 200} # as the probe of its container; also body: \"REGEXP\"\n", scalar(service), port, scalar(p))
			continue
		}
		fmt.Fprintf(b, "  tcp: {service: %s, port: %d} # also send: and expect:, or http: {service, port, path, status, body}\n", scalar(service), port)
	}
}

// probePath gives the path of an httpGet probe on the port behind a Service's.
func probePath(a *app.App, service string, port int) string {
	for _, w := range behind(a, service) {
		target := targetOf(a, service, port)
		for c := range w.Containers() {
			for _, p := range []*corev1.Probe{c.Spec.ReadinessProbe, c.Spec.StartupProbe, c.Spec.LivenessProbe} {
				if p == nil || p.HTTPGet == nil || p.HTTPGet.Scheme == corev1.URISchemeHTTPS {
					continue
				}
				if number(c.Spec, p.HTTPGet.Port) == number(c.Spec, target) && number(c.Spec, target) != 0 {
					return "/" + strings.TrimPrefix(p.HTTPGet.Path, "/")
				}
			}
		}
	}
	return ""
}

// targetOf gives the container port behind a Service's port.
func targetOf(a *app.App, service string, port int) intstr.IntOrString {
	if _, s := serviceOf(a, service); s != nil {
		for _, p := range s.Ports {
			if int(p.Port) == port && p.TargetPort != (intstr.IntOrString{}) {
				return p.TargetPort
			}
		}
	}
	return intstr.FromInt32(int32(port))
}

// number gives the port that a name or a number means in a container; 0 for a
// name that it does not have.
func number(c *corev1.Container, p intstr.IntOrString) int {
	if p.Type == intstr.Int {
		return p.IntValue()
	}
	for _, own := range c.Ports {
		if own.Name == p.StrVal {
			return int(own.ContainerPort)
		}
	}
	return 0
}

// outlineFoothold shows how to name the holes of an application, commented out:
// most have none.
func outlineFoothold(b *strings.Builder, a *app.App) {
	service, port := "web", 8080
	for _, c := range inferred(a) {
		if c.HTTP != nil {
			service, port = c.HTTP.Service, c.HTTP.Port
			break
		}
	}
	fmt.Fprintf(b, `# foothold: # holes of the application itself, for the attacks that come through one
#   command: {service: %[1]s, port: %[2]d, path: "/run?cmd={command}"} # runs what it is sent
#   request: {service: %[1]s, port: %[2]d, path: "/get?url={uri}"}     # fetches what it is sent
`, scalar(service), port)
}

// outlineMissing gives values to what PATH lacks.
func outlineMissing(b *strings.Builder, a *app.App) {
	for _, kind := range []struct{ name, key string }{{"Secret", "secrets"}, {"ConfigMap", "configMaps"}} {
		head := fmt.Sprintf("%s: # no manifest declares them, so they are made for the walk; never write real secrets here\n", kind.key)
		for _, m := range a.Missing() {
			if m.Kind != kind.name {
				continue
			}
			var values []string
			for _, k := range m.Keys {
				values = append(values, fmt.Sprintf("%s: %s", scalar(k), scalar(m.Values[k])))
			}
			fmt.Fprintf(b, "%s  %s: {%s} # for %s\n", head, scalar(m.Name), strings.Join(values, ", "), placed(a, m.Pos))
			head = ""
		}
	}
}

// outlineServices shows how to have others stand in for what nothing serves,
// commented out: what serves it is not known, and it may not be needed.
func outlineServices(b *strings.Builder, a *app.App) {
	head := "# services: # nothing here serves these: who stands in for them while road runs, and where the real ones are\n"
	for _, c := range a.Outside() {
		port := cmp.Or(c.Port, 80)
		fmt.Fprintf(b, "%s#   %s: {image: NAME, port: %d} # for %s; also command, args, env; address: IPV4, or namespace and labels\n", head, scalar(c.Host), port, placed(a, c.Pos))
		head = ""
	}
}

// plain is text that needs no quotes in YAML, in a flow mapping either.
var plain = regexp.MustCompile(`^[A-Za-z./][A-Za-z0-9_./-]*$`)

// scalar gives text as a YAML string.
func scalar(s string) string {
	words := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	if plain.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// comment keeps text on the line of its comment.
func comment(s string) string { return strings.Join(strings.Fields(Escape(s)), " ") }
