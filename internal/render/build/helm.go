package build

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	commonutil "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"

	"road/internal/render"

	k8syaml "sigs.k8s.io/yaml"
)

// latest is the minor version of Kubernetes that charts are told of where the
// source names none.
const latest = 37

// hook is the annotation of objects that Helm runs at times of its own.
const hook = "helm.sh/hook"

// helm renders a chart as helm template does, without a cluster.
func helm(t *render.Tree, s render.Source) (*render.Result, error) {
	c, err := load(t, s)
	if err != nil {
		return nil, err
	}
	values, notes, err := renderValues(t, s, c)
	if err != nil {
		return nil, err
	}
	e := engine.Engine{CustomTemplateFuncs: steady()}
	out, err := e.RenderWithContext(context.Background(), c, values)
	if err != nil {
		return nil, templateFault(s, c.Name(), err)
	}
	r := &render.Result{Source: s, Notes: notes}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		_, file, _ := strings.Cut(name, "/")
		file = path.Join(s.Dir, file)
		if strings.HasSuffix(file, "NOTES.txt") || strings.HasPrefix(path.Base(file), "_") || strings.TrimSpace(out[name]) == "" {
			continue
		}
		if err := add(r, file, out[name]); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// add takes in the objects that one template gave.
func add(r *render.Result, file, text string) error {
	parts := releaseutil.SplitManifests(text)
	for i := range len(parts) {
		part := parts["manifest-"+strconv.Itoa(i)]
		var head head
		if err := k8syaml.Unmarshal([]byte(part), &head); err != nil {
			return &render.Error{File: file, Line: 1, Message: "renders to what is not YAML: " + clean(err), Hint: "mend the template, or give the values that it needs with helm: in road.yaml"}
		}
		switch events, isHook := head.Metadata.Annotations[hook]; {
		case isHook && !strings.Contains(events, "test"):
			r.Hooks = append(r.Hooks, file)
		case isHook, head.Kind == "":
		default:
			r.Objects = append(r.Objects, head.objects([]byte(part), file)...)
		}
	}
	return nil
}

// A head is what is asked of an object that a template gave.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Items json.RawMessage `json:"items"` // of a list
}

// objects gives what a text holds: an object, or those of a list one by one, as a
// cluster gets them and a post-renderer takes them apart.
func (h *head) objects(text []byte, file string) []render.Object {
	whole := []render.Object{h.object(text, file)}
	var list []json.RawMessage
	if !strings.HasSuffix(h.Kind, "List") || json.Unmarshal(h.Items, &list) != nil {
		return whole
	}
	var out []render.Object
	for _, item := range list {
		var head head
		text, err := k8syaml.JSONToYAML(item)
		if err == nil {
			err = json.Unmarshal(item, &head)
		}
		if err != nil || head.Kind == "" {
			return whole // items of another kind
		}
		out = append(out, head.object(text, file))
	}
	return out
}

func (h *head) object(text []byte, file string) render.Object {
	return render.Object{Text: text, APIVersion: h.APIVersion, Kind: h.Kind, Name: h.Metadata.Name, Namespace: h.Metadata.Namespace, Template: file}
}

// load reads the chart, without what its .helmignore names.
func load(t *render.Tree, s render.Source) (*chart.Chart, error) {
	ignored := ignored(t, s.Dir)
	var files []*archive.BufferedFile
	for _, name := range t.Below(s.Dir) {
		rel := strings.TrimPrefix(name, s.Dir+"/")
		if s.Dir == "." {
			rel = name
		}
		if strings.HasPrefix(rel, render.PostRender+"/") || ignored(rel) {
			continue
		}
		b, err := t.ReadFile(name)
		if err != nil {
			return nil, &render.Error{File: name, Message: "cannot be read: " + err.Error()}
		}
		files = append(files, &archive.BufferedFile{Name: rel, Data: bytes.TrimPrefix(b, []byte("\ufeff"))})
	}
	about := path.Join(s.Dir, "Chart.yaml")
	c, err := loader.LoadFiles(files)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return nil, &render.Error{File: about, Line: 1, Message: "not a chart: " + clean(err), Hint: "helm lint " + s.Dir + " says more"}
	}
	if c.Metadata.Type == "library" {
		return nil, &render.Error{File: about, Line: 1, Message: "a library chart makes no objects", Hint: "give the chart that uses it"}
	}
	for _, d := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(sub *chart.Chart) bool { return sub.Name() == d.Name }) {
			return nil, &render.Error{File: about, Line: lineOf(t, about, d.Name), Message: "the dependency " + d.Name + " is not in charts/, and road does not ask the network",
				Hint: "helm dependency build " + s.Dir}
		}
	}
	return c, nil
}

// lineOf finds the first line of a file that holds a word.
func lineOf(t *render.Tree, file, word string) int {
	b, _ := t.ReadFile(file)
	before, _, found := bytes.Cut(b, []byte(word))
	if !found {
		return 1
	}
	return bytes.Count(before, []byte("\n")) + 1
}

// renderValues puts the chart's values and the given ones together.
func renderValues(t *render.Tree, s render.Source, c *chart.Chart) (common.Values, []render.Error, error) {
	values := map[string]any{}
	for _, name := range s.Values {
		b, err := t.ReadFile(name)
		if err != nil {
			return nil, nil, &render.Error{File: name, Message: "the values cannot be read", Hint: "name a file of the folder under helm: values: in road.yaml"}
		}
		more, err := loader.LoadValues(bytes.NewReader(b))
		if err != nil {
			return nil, nil, &render.Error{File: name, Line: 1, Message: "not values: " + clean(err)}
		}
		values = loader.MergeMaps(values, more)
	}
	about := path.Join(s.Dir, "Chart.yaml")
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		return nil, nil, &render.Error{File: about, Line: 1, Message: "the chart's dependencies do not fit: " + clean(err)}
	}
	kube, err := cluster(t, s, c)
	if err != nil {
		return nil, nil, err
	}
	caps := &common.Capabilities{KubeVersion: *kube, APIVersions: common.DefaultVersionSet, HelmVersion: common.DefaultCapabilities.HelmVersion}
	release := common.ReleaseOptions{Name: cmp.Or(s.Release, c.Name()), Namespace: cmp.Or(s.Namespace, "default"), Revision: 1, IsInstall: true}
	const elsewhere = true // helm's own look at the schemas asks the network
	out, err := commonutil.ToRenderValuesWithSchemaValidation(c, values, release, caps, elsewhere)
	if err != nil {
		return nil, nil, &render.Error{File: path.Join(s.Dir, "values.yaml"), Line: 1, Message: clean(err)}
	}
	if s.Probing {
		return out, nil, nil
	}
	notes, err := validate(s.Dir, c, mapping(out["Values"]))
	return out, notes, err
}

// cluster is what the chart is told of the cluster, which must be one that it is
// for.
func cluster(t *render.Tree, s render.Source, c *chart.Chart) (*common.KubeVersion, error) {
	kube, err := common.ParseKubeVersion(fmt.Sprintf("v1.%d.0", cmp.Or(s.Minor, latest)))
	if err != nil {
		return nil, err
	}
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, kube.String()) {
		about := path.Join(s.Dir, "Chart.yaml")
		return nil, &render.Error{File: about, Line: lineOf(t, about, "kubeVersion"), Message: fmt.Sprintf("the chart is for Kubernetes %s, and the target is 1.%s", want, kube.Minor),
			Hint: `name the clusters' version in road.yaml: target: {kubernetes: "1.33"}`}
	}
	return kube, nil
}

// mapping gives values as the mapping that they are.
func mapping(v any) map[string]any {
	if v, ok := v.(common.Values); ok {
		return v
	}
	m, _ := v.(map[string]any)
	return m
}

var templatePlace = regexp.MustCompile(`([\w.-]+(?:/[\w.-]+)*/templates/[^:\s()]+):(\d+)`)

// templateFault finds the place in a template that an error of the engine names.
func templateFault(s render.Source, name string, err error) error {
	e := &render.Error{File: path.Join(s.Dir, "Chart.yaml"), Line: 1, Message: "helm cannot render it: " + clean(err), Hint: "give the values that it needs with helm: {values: [FILE]} in road.yaml"}
	if m := templatePlace.FindStringSubmatch(err.Error()); m != nil {
		e.File = path.Join(s.Dir, strings.TrimPrefix(m[1], name+"/"))
		e.Line, _ = strconv.Atoi(m[2])
	}
	return e
}

// values gives what the templates of a chart see as .Values, and the names that stand in its templates alone.
func values(t *render.Tree, s render.Source) (map[string]any, []string, error) {
	c, err := load(t, s)
	if err != nil {
		return nil, nil, err
	}
	all, _, err := renderValues(t, s, c)
	if err != nil {
		return nil, nil, err
	}
	named := map[string]bool{}
	for _, f := range c.Templates {
		for _, m := range valueName.FindAllSubmatch(f.Data, -1) {
			named[string(m[1])] = true
		}
	}
	return mapping(all["Values"]), slices.Sorted(maps.Keys(named)), nil
}

var valueName = regexp.MustCompile(`\.Values\.([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)`)
