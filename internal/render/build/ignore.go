package build

import (
	"bytes"
	"io/fs"
	"path"
	"strings"
	"time"

	"road/internal/render"

	"helm.sh/helm/v4/pkg/ignore"
)

// ignored reads the .helmignore of a chart.
func ignored(t *render.Tree, dir string) func(name string) bool {
	rules := ignore.Empty()
	if b, err := t.ReadFile(path.Join(dir, ignore.HelmIgnore)); err == nil {
		if r, err := ignore.Parse(bytes.NewReader(b)); err == nil {
			rules = r
		}
	}
	rules.AddDefaults()
	return func(name string) bool {
		for i := range name {
			if name[i] == '/' && rules.Ignore(name[:i], entry{name[:i], true}) {
				return true
			}
		}
		return rules.Ignore(name, entry{name, false})
	}
}

// An entry is what the rules ask of a file.
type entry struct {
	name string
	dir  bool
}

func (e entry) Name() string { return e.name[strings.LastIndexByte(e.name, '/')+1:] }
func (e entry) IsDir() bool  { return e.dir }
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}
func (entry) Size() int64        { return 0 }
func (entry) ModTime() time.Time { return time.Time{} }
func (entry) Sys() any           { return nil }
