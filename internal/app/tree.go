package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile is the size in bytes above which a file is not read.
const maxFile = 100 << 20

// skipped are folders whose content is not the application's own.
var skipped = []string{".git", "vendor", "node_modules"}

// A tree is what was read from disk.
type tree struct {
	root     string
	files    map[string][]byte
	names    map[string]bool // everything that lies there, read or not
	single   bool
	problems []Problem
}

// readTree reads every file below root that may matter; below is where PATH, and
// its road.yaml, lies in it. Where root is a file, it reads this one alone.
func readTree(root, below string) (*tree, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, files: map[string][]byte{}, names: map[string]bool{}}
	if !info.IsDir() {
		t.root, t.single = filepath.Dir(root), true
	}
	dir, err := os.OpenRoot(t.root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if t.single {
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s: neither a folder nor a regular file", root)
		}
		name := filepath.Base(root)
		t.read(dir, name)
		if t.files[name] == nil {
			return nil, t.problems[0]
		}
		beside, _ := fs.ReadDir(dir.FS(), ".") // where it cannot be listed, nothing can be made
		for _, e := range beside {
			t.names[e.Name()] = true
		}
		return t, nil
	}
	err = fs.WalkDir(dir.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		return t.visit(dir, name, e, err)
	})
	if err != nil {
		return nil, err
	}
	t.readNamed(dir, path.Join(below, FileName))
	t.readScripts(dir)
	return t, nil
}

// visit reads one file of the walk where it may matter.
func (t *tree) visit(dir *os.Root, name string, e fs.DirEntry, err error) error {
	t.names[name] = true
	switch {
	case err != nil && name == ".":
		return err
	case err != nil:
		t.problem(name, "cannot be read: "+reason(err), "")
		if e != nil && e.IsDir() {
			return fs.SkipDir
		}
	case e.IsDir():
		if slices.Contains(skipped, e.Name()) {
			return fs.SkipDir
		}
	case !isManifestName(name) && !IsDockerfileName(name) && !isKustomization(name):
	case e.Type()&fs.ModeSymlink != 0:
		if _, err := dir.Stat(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.problem(name, "a link that leads out of the folder is not followed", "copy the file here, or give road the folder that holds both")
		}
	case e.Type().IsRegular():
		t.read(dir, name)
		if isManifestName(name) && !isRead(name) && !mayHoldObjects(t.files[name]) {
			delete(t.files, name) // the data of others may be large
		}
	}
	return nil
}

// isRead knows the YAML files that hold no objects and that tell what others are.
func isRead(name string) bool {
	return path.Base(name) == FileName || isKustomization(name) || path.Base(name) == "Chart.yaml"
}

func mayHoldObjects(content []byte) bool { return bytes.Contains(content, []byte("apiVersion")) }

// readNamed reads the Dockerfiles that the given road.yaml names and that do not
// look like any.
func (t *tree) readNamed(dir *os.Root, config string) {
	c, _ := parseConfig(config, t.files[config])
	if c == nil {
		return
	}
	for _, i := range c.Images {
		regular := func(name string) bool {
			info, err := dir.Lstat(name)
			return err == nil && info.Mode().IsRegular()
		}
		if name := i.file(c.dir(), regular); i.Archive == "" && t.files[name] == nil && regular(name) {
			t.read(dir, name)
		}
	}
}

// readScripts reads the files that Dockerfiles name behind ENTRYPOINT and CMD, and
// keeps the shell scripts among them.
func (t *tree) readScripts(dir *os.Root) {
	var names []string
	for name, content := range t.files {
		if IsDockerfileName(name) || bytes.Contains(content, []byte("FROM")) {
			names = append(names, startNames(content)...)
		}
	}
	for name := range t.names {
		if t.files[name] != nil || !slices.Contains(names, path.Base(name)) {
			continue
		}
		info, err := dir.Lstat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > scriptLimit {
			continue
		}
		if t.read(dir, name); !IsScript(t.files[name]) {
			delete(t.files, name)
		}
	}
}

// read reads one regular file.
func (t *tree) read(dir *os.Root, name string) {
	f, err := dir.Open(name)
	if err != nil {
		t.problem(name, "cannot be read: "+reason(err), "")
		return
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		t.problem(name, "cannot be read: "+reason(err), "")
	case len(content) > maxFile:
		t.problem(name, fmt.Sprintf("larger than %d MB, passed by", maxFile>>20), "split it, or leave it out with manifests: in road.yaml")
	default:
		t.files[name] = content
	}
}

func (t *tree) problem(name, message, hint string) {
	t.problems = append(t.problems, Problem{Pos{File: name}, message, hint, true})
}

// reason gives the cause of a file error without the names that stand in front.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// IsDockerfileName knows Dockerfile, Containerfile, Dockerfile.web and
// web.Dockerfile.
func IsDockerfileName(name string) bool {
	b := path.Base(name)
	if strings.HasSuffix(b, ".dockerignore") {
		return false
	}
	return b == "Dockerfile" || b == "Containerfile" ||
		strings.HasPrefix(b, "Dockerfile.") || strings.HasPrefix(b, "Containerfile.") ||
		strings.HasSuffix(strings.ToLower(b), ".dockerfile")
}
