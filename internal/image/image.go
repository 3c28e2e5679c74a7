// Package image makes images into directories that containers can start from:
// built from a Dockerfile by BuildKit (in a child process, without a daemon),
// pulled from a registry, or, for Debian and Ubuntu where no registry answers,
// made from the distribution's packages.
//
// Everything lies below one directory, the store:
//
//	bk/      BuildKit's root: cache, snapshots; one process at a time (bk/lock)
//	bases/   OCI layouts of the images that Dockerfiles start from
//	pulled/  unpacked layers of images that run as they are
//	published/ what the digests stand for that registries gave to images of ours
//	tmp/     work in progress, empty when nobody works
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"road/internal/app"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An Image is ready to be started.
type Image struct {
	Ref    string              // as asked for
	Lowers []string            // overlay lower directories, top first; never written to; none for an empty image
	Config ocispec.ImageConfig //
	Facts  app.ImageFacts      // the same for everyone who does not start containers

	// Digest is what its registry called it when it gave it; "" for an image that
	// came from elsewhere. Registry is that registry's name.
	Digest, Registry string
}

// Options place a Store.
type Options struct {
	Dir          string // where everything is kept between walks; made with mode 0700
	CgroupParent string // under which build steps get their cgroups: "/road-<run>/build"; default "/road-build"
	Offline      bool   // never ask a registry
	PID          int    // named to others who wait for this process; default its own, which says nothing outside a PID namespace

	// Mirror is the package mirror for bases made from packages,
	// "http://mirror.example.org/debian". Default: the environment variable
	// ROAD_DEBIAN_MIRROR, the host's own Debian mirror, deb.debian.org.
	Mirror string

	// Waiting is called again and again while somebody prunes the store; an error
	// ends the wait. It may be nil.
	Waiting func() error

	// Dial connects to registries; nil means the network of this process. Build
	// steps always use the network of this process.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Store builds, pulls and keeps images. Its methods may be called at once.
type Store struct {
	o        Options
	lock     io.Closer // shared while the store is open, so that nobody prunes what runs
	alone    bool      // nobody else had the store open when this one was opened
	registry *registries
	sizes    *sizes
	census   *census
	digests  *digests

	asking sync.Mutex
	asked  map[string]bool // names of bases that were asked about, and registries that are slow

	mu      sync.Mutex
	closed  bool
	builder *builder           // nil while none runs
	fetched map[v1.Hash]string // directories of layers that are kept until the store is closed
	atClose []func()           // takes them away
}

// Open makes or finds the store in o.Dir. Several processes may share one: each
// build waits for its turn, and layers stay while any of them has it open.
func Open(o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	if s.lock, s.alone, err = lockStore(filepath.Join(s.o.Dir, "lock"), o.Waiting); err != nil {
		return nil, fmt.Errorf("image store: %w", err)
	}
	s.sweepTemp()
	return s, nil
}

// newStore makes the directories of a store, whose lock is the caller's business.
func newStore(o Options) (*Store, error) {
	if o.Dir == "" {
		return nil, errors.New("the image store needs a directory")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	if o.CgroupParent == "" {
		o.CgroupParent = "/road-build"
	}
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	for _, d := range []string{"", "bk", "bases", "pulled", "published", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("image store: %w", err)
		}
	}
	return &Store{o: o, registry: newRegistries(o, defaultPatience), sizes: &sizes{file: filepath.Join(dir, "sizes.json")},
		census:  &census{file: filepath.Join(dir, "contents.json")},
		digests: &digests{file: filepath.Join(dir, "digests.json")}, fetched: map[v1.Hash]string{}, asked: map[string]bool{}}, nil
}

// Build builds b, whose files lie below root, from b.Dockerfile.Content as it
// is in memory. An unchanged build takes tens of milliseconds. Several calls at
// once share one BuildKit. progress may be nil. An instruction that fails gives
// a *BuildError.
func (s *Store) Build(ctx context.Context, ref, root string, b *app.Build, progress func(line string)) (*Image, error) {
	say := sayer(progress)
	if err := canBuild(); err != nil {
		return nil, err
	}
	folder, err := contextFolder(root, b)
	if err != nil {
		return nil, err
	}
	names, err := basesOf(b)
	if err != nil {
		return nil, err
	}
	r := &buildRequest{Name: shortName(ref), Context: folder, Filename: b.Dockerfile.File, Target: b.Target, Args: b.Args, Bases: map[string]layoutRef{}}
	var notes []string
	for _, n := range names {
		base, err := s.base(ctx, n.ref, say)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", b.Dockerfile.File, n.line, err)
		}
		r.Bases[contextKey(n.ref)] = layoutRef{Dir: base.dir, Digest: base.Digest}
		notes = appendNote(notes, base.Note)
	}
	var done func()
	if r.Dockerfile, done, err = s.dockerfileFolder(root, b); err != nil {
		return nil, err
	}
	defer done()
	res, err := s.solve(ctx, r, say)
	if err != nil {
		return nil, s.explain(err)
	}
	return s.image(ref, res.ID, res.Lowers, res.Config, notes)
}

// image puts together what callers get.
func (s *Store) image(ref, id string, lowers []string, cfg ocispec.ImageConfig, notes []string) (*Image, error) {
	facts, err := s.facts(id, lowers, cfg, notes)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	return &Image{Ref: ref, Lowers: lowers, Config: cfg, Facts: facts}, nil
}

// Close ends what the store started. Images stay on disk, but another process
// may prune them from now on.
func (s *Store) Close() error {
	s.mu.Lock()
	b := s.builder
	s.builder, s.closed = nil, true
	for _, f := range s.atClose {
		f()
	}
	s.mu.Unlock()
	if b != nil {
		b.end()
	}
	return s.lock.Close()
}

// sayer makes progress callable whatever it is, and one line at a time.
func sayer(progress func(string)) func(string) {
	if progress == nil {
		return func(string) {}
	}
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		progress(line)
	}
}

func writeJSON(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".json-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(b); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

func readJSON(file string, v any) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
