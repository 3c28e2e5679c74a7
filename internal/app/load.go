package app

import (
	"bytes"
	"cmp"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"road/internal/render"

	"go.yaml.in/yaml/v3"
)

// Load reads the application below root, or the one manifest that root names. A
// file that cannot be used becomes a Problem and is passed by; the error is for
// a root that cannot be read at all and for a road.yaml that is wrong (then it
// is a *ConfigError).
//
// A manifest is a file ending in .yaml, .yml or .json that holds an apiVersion;
// others, broken ones too, are none of road's business and are passed by in
// silence. Folders called .git, vendor and node_modules are not entered, and
// links are not followed: what they lead to inside root is read at its own place.
func Load(root string) (*App, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	return LoadBelow(widen(abs))
}

// LoadBelow is Load for the folder below of root, of which all may belong to the
// application: App.Below and App.Root of one that Load gave.
func LoadBelow(root, below string) (*App, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	t, err := readTree(root, below)
	if err != nil {
		return nil, err
	}
	l := &loader{files: t.files, single: t.single, root: t.root, app: &App{
		Root: t.root, Name: filepath.Base(filepath.Join(root, filepath.FromSlash(below))), Below: below, Problems: t.problems, Seen: &Seen{}, Names: t.names,
	}}
	if t.single {
		l.app.Name = filepath.Base(t.root)
	}
	if err := l.load(); err != nil {
		return nil, fromBelow(err, below)
	}
	return l.app, nil
}

// LoadFiles is Load for files in memory, by slash-separated name: for standard
// input (name the file "-"), for an application with edits that are not written,
// and for tests. Root of the result is "". Nothing is rendered: see Reload.
func LoadFiles(name string, files map[string][]byte) (*App, error) {
	l := &loader{files: maps.Clone(files), app: &App{Name: name, Seen: &Seen{}}}
	if err := l.load(); err != nil {
		return nil, err
	}
	return l.app, nil
}

// Reload makes the application anew from other files, from the same of them.
func (a *App) Reload(files map[string][]byte) (*App, error) {
	l := &loader{files: maps.Clone(files), app: &App{Name: a.Name, Below: a.Below, Seen: &Seen{}}}
	if a.Rendered != nil {
		l.source, l.disk = &a.Rendered.Source, a.Rendered.Disk
	}
	if err := l.load(); err != nil {
		return nil, err
	}
	return l.app, nil
}

// Anew is Load of the same folder with other files over those that the application
// was loaded from: what it would be if they were written.
func (a *App) Anew(files map[string][]byte) (*App, error) {
	l := &loader{files: a.Files(), root: a.Root, app: &App{Root: a.Root, Name: a.Name, Below: a.Below, Seen: &Seen{}, Names: a.Names}}
	maps.Copy(l.files, files)
	if err := l.load(); err != nil {
		return nil, fromBelow(err, a.Below)
	}
	return l.app, nil
}

// Files gives every file that the application was loaded from, as it was:
// manifests, Dockerfiles, road.yaml, and what tells these apart from others
// (kustomizations, charts). Reload makes the same application of them.
func (a *App) Files() map[string][]byte { return maps.Clone(a.files) }

// A loader is one run of Load.
type loader struct {
	app     *App
	files   map[string][]byte
	root    string         // the folder where files that nothing has asked for yet may lie; "" in memory
	disk    string         // of an application that was loaded before, that folder
	source  *render.Source // what is rendered, where that is known
	single  bool           // PATH is one file: its faults are told whatever it looks like
	patches map[string]bool
	broken  []Problem // of the Dockerfiles that could not be read
}

// A file is a manifest, parsed.
type file struct {
	name    string
	content []byte
	docs    []*yaml.Node
	err     error
	lines   lineMap
	braces  bool // {{ stands somewhere
}

func (l *loader) load() error {
	a := l.app
	a.files = map[string][]byte{}
	config, err := l.config()
	if err != nil {
		return err
	}
	a.Config = config
	var files []file
	if s := l.pick(); s == nil {
		files = l.parse()
	} else if files, err = l.render(*s); err != nil {
		return err
	}
	results := make([]result, len(files))
	each(len(files), func(i int) { results[i] = l.read(&files[i]) })
	for i, r := range results {
		f := &files[i]
		a.Manifests = append(a.Manifests, &Manifest{f.name, f.content})
		if a.Rendered == nil {
			a.files[f.name] = f.content
		}
		a.Objects = append(a.Objects, r.objects...)
		a.Problems = append(a.Problems, r.problems...)
	}
	for _, o := range a.Objects {
		o.home, o.rendered = config.Namespace, a.Rendered
		if a.Rendered != nil {
			o.home = cmp.Or(a.Rendered.Source.Namespace, o.home)
		}
		if w := workload(o); w != nil {
			a.Workloads = append(a.Workloads, w)
		}
	}
	if a.Rendered != nil {
		a.Rendered.settle(a.Problems, a.Objects)
	}
	l.dockerfiles()
	l.scripts()
	l.images()
	l.references()
	slices.SortStableFunc(a.Problems, func(x, y Problem) int {
		return cmp.Or(strings.Compare(x.File, y.File), x.Line-y.Line, x.Column-y.Column)
	})
	return nil
}

// scripts keeps the shell scripts that the Dockerfiles name as what starts.
func (l *loader) scripts() {
	a := l.app
	a.scripts = map[string][]byte{}
	var names []string
	for _, d := range a.Dockerfiles {
		names = append(names, startNames(d.Content)...)
	}
	for name, content := range l.files {
		if _, other := a.files[name]; !other && slices.Contains(names, path.Base(name)) && IsScript(content) {
			a.scripts[name], a.files[name] = content, content
		}
	}
}

// parse parses the manifests and learns from the kustomizations which of them
// are patches.
func (l *loader) parse() []file {
	var files []file
	var kustomizations []string
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		content := l.files[name]
		switch {
		case isKustomization(name):
			kustomizations = append(kustomizations, name)
			l.app.files[name] = content
		case path.Base(name) == "Chart.yaml":
			l.app.files[name] = content
		case l.isManifest(name, content):
			files = append(files, file{name: name, content: content})
		}
	}
	l.patches = map[string]bool{}
	for _, name := range kustomizations {
		docs, _ := Documents(l.files[name])
		for _, d := range docs {
			for _, p := range patchFiles(name, d) {
				l.patches[p] = true
			}
		}
	}
	each(len(files), func(i int) {
		f := &files[i]
		f.docs, f.err = Documents(f.content)
		f.lines = newLineMap(f.content)
		f.braces = bytes.Contains(f.content, []byte("{{"))
	})
	return files
}

// isManifest says whether a file can hold objects of Kubernetes, by its name,
// by road.yaml's choice and by a look at its text.
func (l *loader) isManifest(name string, content []byte) bool {
	if l.isRoadYAML(name, content) || !l.chosen(name) {
		return false
	}
	if bytes.IndexByte(content[:min(len(content), 8000)], 0) >= 0 {
		return false // binary
	}
	if l.single || name == "-" {
		return true
	}
	return isManifestName(name) && mayHoldObjects(content)
}

// isRoadYAML knows the road.yaml of PATH, and that of another application in a
// wider folder.
func (l *loader) isRoadYAML(name string, content []byte) bool {
	return name == path.Join(l.app.Below, FileName) || path.Base(name) == FileName && bytes.Contains(content, []byte("apiVersion: road/"))
}

func isManifestName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// chosen says whether road.yaml's list of manifests, where there is one, takes
// a file in.
func (l *loader) chosen(name string) bool {
	list := l.app.Config.Manifests
	for _, m := range list {
		if m == "." || name == m || strings.HasPrefix(name, m+"/") {
			return true
		}
	}
	return len(list) == 0
}

// inChart says whether a file is one of a Helm chart's templates.
func (l *loader) inChart(name string) bool {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if path.Base(dir) == "templates" {
			_, ok := l.files[path.Join(path.Dir(dir), "Chart.yaml")]
			return ok
		}
	}
	return false
}

// each calls f for 0 to n-1, as many at once as there are processors.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	wg.Wait()
}
