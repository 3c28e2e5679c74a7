// Package image makes images into directories that containers can start from:
// built from a Dockerfile by BuildKit (in a child process, without a daemon),
// pulled from a registry, or, for Debian and Ubuntu where no registry answers,
// made from the distribution's packages.
package image

import (
	"context"
	"errors"
	"net"

	"road/internal/app"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// An Image is ready to be started.
type Image struct {
	Ref    string              // as asked for
	Lowers []string            // overlay lower directories, top first; never written to; none for an empty image
	Config ocispec.ImageConfig //
	Facts  app.ImageFacts      // the same for everyone who does not start containers
}

// Options place a Store.
type Options struct {
	Dir          string // where everything is kept between walks; made with mode 0700
	CgroupParent string // under which build steps get their cgroups: "/road-<run>/build"
	Offline      bool   // never ask a registry

	// Dial connects to registries; nil means the network of this process. Build
	// steps always use the network of this process.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Store builds, pulls and keeps images.
type Store struct {
	o Options
}

// Open makes or finds the store in o.Dir. It does not lock it: several walks may
// share one, each build waits for its turn.
func Open(o Options) (*Store, error) { return &Store{o}, errors.New("not written yet") }

// Build builds b, whose files lie below root, from b.Dockerfile.Content as it
// is in memory. An unchanged build takes tens of milliseconds. Several calls at
// once share one BuildKit.
func (s *Store) Build(ctx context.Context, ref, root string, b *app.Build, progress func(line string)) (*Image, error) {
	return nil, errors.New("not written yet")
}

// Pull finds ref: in the store, in an OCI layout or a docker save file ("oci:DIR",
// "docker-archive:FILE"), or in its registry.
func (s *Store) Pull(ctx context.Context, ref string, progress func(line string)) (*Image, error) {
	return nil, errors.New("not written yet")
}

// Close ends what the store started.
func (s *Store) Close() error { return nil }

// Main takes over a process that was started as the store's builder, and does
// not return then. It must be called first in main.
func Main() {}
