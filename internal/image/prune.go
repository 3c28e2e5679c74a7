package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"road/internal/lock"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/moby/buildkit/client"
)

// ErrInUse says that a store is open somewhere: what runs needs its layers.
var ErrInUse = errors.New("a run is using the image store")

// stale is how long BuildKit's cache keeps what nobody builds with, without being
// asked to prune.
const stale = 14 * 24 * time.Hour

// Pruned says what Prune took away, in bytes on disk.
type Pruned struct {
	Cache  int64 `json:"cache"`  // BuildKit's: results of build steps
	Bases  int64 `json:"bases"`  // that Dockerfiles start from
	Images int64 `json:"images"` // layers of images that run as they were pulled
	Rest   int64 `json:"rest"`   // what is only remembered about these, and what killed runs left
}

// Total is the sum.
func (p *Pruned) Total() int64 { return p.Cache + p.Bases + p.Images + p.Rest }

// Prune takes out of the store in o.Dir what nobody has used for so long; with 0
// that is everything. It is ErrInUse where the store is open, and nobody can open
// it meanwhile. What it takes away is made or pulled anew when it is needed.
func Prune(ctx context.Context, o Options, unused time.Duration) (*Pruned, error) {
	if _, err := os.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) {
		return &Pruned{}, nil
	}
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	held, err := os.OpenFile(filepath.Join(s.o.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	if err := lock.Alone(held); errors.Is(err, lock.ErrBusy) {
		return nil, ErrInUse
	} else if err != nil {
		return nil, err
	}
	p := &Pruned{}
	if unused <= 0 {
		return p, s.removeAll(p)
	}
	cut := time.Now().Add(-unused)
	err = errors.Join(s.pruneCache(ctx, unused, p), s.pruneBases(cut, p), s.prunePulled(cut, p), s.prunePublished(p))
	s.sweepTemp()
	return p, err
}

// removeAll empties the store; its two locks stay, since others wait for them by
// name.
func (s *Store) removeAll(p *Pruned) error {
	builder, err := os.OpenFile(filepath.Join(s.o.Dir, "bk", "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer builder.Close()
	if lock.Alone(builder) != nil {
		return ErrInUse // a builder that a killed run left is on its way out
	}
	var errs []error
	for pattern, n := range map[string]*int64{"bk/*": &p.Cache, "bases/*": &p.Bases, "pulled/*": &p.Images, "published/*": &p.Rest, "tmp/*": &p.Rest, "*.json": &p.Rest} {
		names, _ := filepath.Glob(filepath.Join(s.o.Dir, filepath.FromSlash(pattern)))
		for _, name := range names {
			if filepath.Base(name) != "lock" {
				errs = append(errs, s.remove(name, n))
			}
		}
	}
	return errors.Join(errs...)
}

// remove removes a tree and adds what it took to freed. Whoever is killed meanwhile
// leaves no half of it: it is put aside first.
func (s *Store) remove(name string, freed *int64) error {
	tmp, done, err := s.tempDir("prune")
	if err != nil {
		return err
	}
	defer done()
	aside := filepath.Join(tmp, "it")
	if err := os.Rename(name, aside); err != nil {
		return err
	}
	size := onDisk(aside)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	*freed += size
	return nil
}

// onDisk is what a tree takes, as far as nothing outside of it holds its files too.
func onDisk(name string) (size int64) {
	links := map[uint64]uint64{}
	filepath.WalkDir(name, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return nil
		}
		if !e.IsDir() && st.Nlink > 1 {
			if links[st.Ino]++; links[st.Ino] < uint64(st.Nlink) {
				return nil
			}
		}
		size += st.Blocks * 512
		return nil
	})
	return size
}

// pruneCache has BuildKit drop what no build has used.
func (s *Store) pruneCache(ctx context.Context, unused time.Duration, p *Pruned) error {
	if _, err := os.Stat(filepath.Join(s.o.Dir, "bk", "cache.db")); err != nil {
		return nil // nothing was ever built
	}
	if err := canBuild(); err != nil {
		return err
	}
	b, err := s.runningBuilder()
	if err != nil {
		return fmt.Errorf("start the builder: %w", err)
	}
	defer b.end() // what BuildKit forgets it removes at its end
	id, pending, _ := b.begin(func(string) {})
	res, err := b.run(ctx, id, pending, request{Prune: unused})
	if err != nil {
		return err
	}
	p.Cache += res.Freed
	return nil
}

// prune drops what no build has used for so long, inside the builder.
func (bk *buildKit) prune(ctx context.Context, unused time.Duration) (*buildResult, error) {
	dropped := make(chan client.UsageInfo, 32)
	res := &buildResult{}
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		for u := range dropped {
			res.Freed += max(0, u.Size)
		}
	}()
	err := bk.client.Prune(ctx, dropped, client.PruneAll, client.WithKeepOpt(unused, 0, 0, 0))
	close(dropped)
	<-counted
	return res, err
}

// used notes that a record is of use now, for Prune.
func used(file string) {
	now := time.Now()
	os.Chtimes(file, now, now) // where that fails, it is pruned sooner
}

func unusedSince(cut time.Time, file string) bool {
	info, err := os.Stat(file)
	return err != nil || info.ModTime().Before(cut)
}

// pruneBases removes bases that nobody started from, and of the others what their
// names stood for earlier.
func (s *Store) pruneBases(cut time.Time, p *Pruned) error {
	dirs, _ := filepath.Glob(filepath.Join(s.o.Dir, "bases", "*", "oci-layout"))
	var errs []error
	for _, d := range dirs {
		dir := filepath.Dir(d)
		if unusedSince(cut, filepath.Join(dir, baseRecordFile)) {
			errs = append(errs, s.remove(dir, &p.Bases), s.remove(dir+".lock", &p.Rest))
			continue
		}
		keep, err := blobsOf(dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		blobs, _ := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
		for _, b := range blobs {
			if !keep[filepath.Base(b)] {
				errs = append(errs, s.remove(b, &p.Bases))
			}
		}
	}
	return errors.Join(errs...)
}

// blobsOf names the blobs of the images in a layout.
func blobsOf(dir string) (map[string]bool, error) {
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	all, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for _, d := range all.Manifests {
		img, err := idx.Image(d.Digest)
		if err != nil {
			return nil, err
		}
		m, err := img.Manifest()
		if err != nil {
			return nil, err
		}
		keep[d.Digest.Hex], keep[m.Config.Digest.Hex] = true, true
		for _, l := range m.Layers {
			keep[l.Digest.Hex] = true
		}
	}
	return keep, nil
}

// prunePulled removes layers that nobody ran an image of, and what is known of such
// images.
func (s *Store) prunePulled(cut time.Time, p *Pruned) error {
	entries, err := os.ReadDir(filepath.Join(s.o.Dir, "pulled"))
	errs := []error{err}
	for _, e := range entries {
		name := filepath.Join(s.o.Dir, "pulled", e.Name())
		switch {
		case e.IsDir() && unusedSince(cut, name+".lock"):
			errs = append(errs, s.remove(name, &p.Images), s.remove(name+".lock", &p.Rest))
		case strings.HasSuffix(name, ".json") && unusedSince(cut, name):
			errs = append(errs, s.remove(name, &p.Rest))
		}
	}
	return errors.Join(errs...)
}

// prunePublished forgets digests of images whose layers are gone.
func (s *Store) prunePublished(p *Pruned) error {
	files, _ := filepath.Glob(filepath.Join(s.o.Dir, "published", "*.json"))
	var errs []error
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var rec published
		gone := json.Unmarshal(raw, &rec) != nil
		for _, l := range rec.Layers {
			_, err := os.Stat(l.Dir)
			gone = gone || errors.Is(err, fs.ErrNotExist)
		}
		if gone {
			errs = append(errs, s.remove(f, &p.Rest))
		}
	}
	return errors.Join(errs...)
}
