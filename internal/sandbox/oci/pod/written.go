package pod

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Written lists the directories of a container's root file system in which
// something was created, changed or removed, over all its runs, sorted and each
// once. Volumes are not part of it. A file that was created and removed again
// shows as its directory; a new directory shows as its parent, which is what had
// to be writable.
func (p *Pod) Written(name string) ([]string, error) {
	c, err := p.container(name)
	if err != nil {
		return nil, err
	}
	dirs := map[string]bool{}
	c.mu.Lock()
	past, a := c.past.written, c.run
	c.mu.Unlock()
	for _, d := range past {
		dirs[d] = true
	}
	if a != nil {
		now, _ := writtenBelow(a.root.upper)
		for _, d := range now {
			dirs[d] = true
		}
	}
	return sortedKeys(dirs), nil
}

// writtenBelow walks an upper layer: the directories that were written, and the
// bytes of all its files.
func writtenBelow(upper string) (dirs []string, bytes int64) {
	seen := map[string]bool{}
	add := func(dir string) {
		if dir = path.Join("/", dir); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	made := "" // a new directory: what is in it needed no more than its parent
	filepath.WalkDir(upper, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == upper {
			return nil
		}
		rel, _ := filepath.Rel(upper, name)
		inMade := made != "" && len(rel) > len(made) && rel[:len(made)+1] == made+"/"
		if d.IsDir() {
			switch {
			case inMade:
			case !copiedUp(name):
				made = rel
				add(path.Dir(rel))
			case emptyDirectory(name):
				add(rel)
			}
			return nil
		}
		if !inMade {
			add(path.Dir(rel))
		}
		if st, err := d.Info(); err == nil && st.Mode().IsRegular() {
			bytes += st.Size()
		}
		return nil
	})
	return dirs, bytes
}

// copiedUp says that a directory of an upper layer was there in a lower one: the
// kernel notes where it came from.
func copiedUp(dir string) bool {
	_, err := unix.Lgetxattr(dir, "trusted.overlay.origin", nil)
	return err == nil
}

func emptyDirectory(dir string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(1)
	return len(names) == 0
}
