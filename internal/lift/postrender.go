package lift

import (
	"cmp"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/render"
)

// postRender makes the folder by which what a chart cannot say is added to what it
// gives.
func (l *lifting) postRender(name string) []edit.Edit {
	chart := l.fromChart() // commands are for its folder, wherever that lies
	dir, run := path.Dir(name), path.Join(chart.Post(), "run")
	helm4, helm3 := HelmInstall(chart, l.plugin()), HelmInstall(chart, run)
	return []edit.Edit{
		{File: name, Create: []byte("# What the chart cannot say in its values. ./run puts what the chart gives into\n# " + render.Rendered +
			" and builds this.\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- " + render.Rendered + "\n")},
		{File: path.Join(dir, "run"), Create: []byte("#!/bin/sh\n# In the folder of the chart, with Helm 4: " + helm4 + "\n# with Helm 3: " + helm3 +
			"\n# or: " + helm("template", chart) + " | " + run + " | kubectl apply " + inNamespace(chart) + "-f -\n" + runScript(chart))},
		{File: path.Join(dir, "plugin.yaml"), Create: []byte("# Helm 4 runs ./run as a plugin, in the folder of the chart:\n# " + helm4 +
			"\n# Of a fault it shows nothing; this does: " + helm("template", chart) + " | " + run + "\napiVersion: v1\ntype: postrenderer/v1\nname: " + l.plugin() +
			"\nversion: 1.0.0\nruntime: subprocess\nruntimeConfig:\n  platformCommand:\n  - command: ${HELM_PLUGIN_DIR}/run\n")},
	}
}

// runScript builds a copy of the kustomization: Helm may run twice at once, and the
// chart may be another user's. Hooks pass by: Helm 4 sends them too, and one of them
// may be called as another object is, which kustomize refuses. Nothing comes out
// unless all went well. What is patched goes by names that hold the release's.
func runScript(s render.Source) string {
	return `dir=$(mktemp -d) || exit
trap 'rm -rf "$dir"' EXIT
cp -R "$(dirname "$0")/." "$dir" && : >"$dir/` + hooksFile + `" && awk -v ORS= -v dir="$dir/" '
function put() { if (hook && text !~ /^---/) text = "---\n" text; print text >(dir (hook ? "` + hooksFile + `" : "` + render.Rendered + `")); text = ""; hook = 0 }
/^---/ { put() }
/helm\.sh\/hook["\047]?:/ { hook = 1 }
{ text = text $0 "\n" }
END { put() }' && kubectl kustomize "$dir" && cat "$dir/` + hooksFile + `" && exit
echo "$0 is for the release "` + word(s.Release) + `" in the namespace "` + word(cmp.Or(s.Namespace, "default")) + `": name another in road.yaml under helm:, take the folder away and run road fix -w" >&2
exit 1
`
}

// hooksFile is where hooks lie meanwhile.
const hooksFile = ".hooks"

// fromChart is the source as the chart's own folder sees it.
func (l *lifting) fromChart() render.Source {
	s := Named(l.app.Rendered.Source, app.ChartName(l.files[path.Join(l.app.Rendered.Source.Dir, "Chart.yaml")]))
	values := s.Values
	s.Values = nil
	for _, name := range values {
		if rel, err := filepath.Rel(filepath.FromSlash(s.Dir), filepath.FromSlash(name)); err == nil {
			name = filepath.ToSlash(rel)
		}
		s.Values = append(s.Values, name)
	}
	s.Dir = "."
	return s
}

// Named gives a chart's source with the name of its release.
func Named(s render.Source, chart string) render.Source {
	s.Release = cmp.Or(s.Release, chart)
	return s
}

// plugin is the name by which Helm 4 knows the post-renderer.
func (l *lifting) plugin() string {
	return PluginName(app.ChartName(l.files[path.Join(l.app.Rendered.Source.Dir, "Chart.yaml")]))
}

// PluginName gives the name of the plugin that is the post-renderer of a chart of
// that name.
func PluginName(chart string) string {
	return regexp.MustCompile(`[^A-Za-z0-9_-]`).ReplaceAllString(chart, "-") + "-" + render.PostRender
}

// HelmInstall gives the command by which Helm installs a chart with a
// post-renderer. Helm 3 takes a program; Helm 4 takes the name of a plugin, which
// it finds below a folder that the environment names.
func HelmInstall(s render.Source, renderer string) string {
	command := helm("install", s) + " --post-renderer " + word(renderer)
	if strings.Contains(renderer, "/") {
		return command
	}
	return "HELM_PLUGINS=" + word(s.Dir) + " " + command
}

// helm gives a command of Helm for a chart, with all that the chart was rendered
// with.
func helm(verb string, s render.Source) string {
	command := "helm " + verb + " " + word(s.Release) + " " + word(s.Dir) + " " + inNamespace(s)
	for _, name := range s.Values {
		command += "-f " + word(name) + " "
	}
	return strings.TrimSuffix(command, " ")
}

// inNamespace gives the flag that names the namespace, where there is one.
func inNamespace(s render.Source) string {
	if s.Namespace == "" {
		return ""
	}
	return "-n " + word(s.Namespace) + " "
}

var plain = regexp.MustCompile(`^[A-Za-z0-9._/@-]+$`)

// word gives a name as one word of a command line, on one line.
func word(name string) string {
	if plain.MatchString(name) {
		return name
	}
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, name)
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
