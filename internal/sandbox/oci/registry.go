package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
)

// A hub is the registry in process, and who moves which tag of it.
type hub struct {
	*image.Hub
	mu   sync.Mutex
	busy map[string]chan struct{} // by tag: taken while it holds something
}

// take waits until nobody else moves tag, and gives what lets it go.
func (h *hub) take(ctx context.Context, tag string) (release func(), err error) {
	h.mu.Lock()
	lock := h.busy[tag]
	if lock == nil {
		lock = make(chan struct{}, 1)
		h.busy[tag] = lock
	}
	h.mu.Unlock()
	select {
	case lock <- struct{}{}:
		return sync.OnceFunc(func() { <-lock }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// takeAll takes several tags, in order, so that two who share some never wait for
// each other.
func (h *hub) takeAll(ctx context.Context, tags []string) (release func(), err error) {
	var taken []func()
	release = sync.OnceFunc(func() {
		for _, r := range taken {
			r()
		}
	})
	for _, tag := range slices.Compact(slices.Sorted(slices.Values(tags))) {
		r, err := h.take(ctx, tag)
		if err != nil {
			release()
			return nil, err
		}
		taken = append(taken, r)
	}
	return release, nil
}

// Publish gives the digests of a's images. A registry that only road.yaml names is
// never pushed to: who walks a folder of somebody else's may have the right to
// push, and did not say that he wants to.
func (e *engine) Publish(ctx context.Context, a *app.App, push bool, progress sandbox.Progress) (map[string]app.Pin, error) {
	if progress == nil {
		progress = func(string) {}
	}
	e.mu.Lock()
	images := e.prepared[a]
	e.mu.Unlock()
	if images == nil {
		if _, err := e.Prepare(ctx, a, progress); err != nil {
			return nil, err
		}
		return e.Publish(ctx, a, push, progress)
	}
	pins := map[string]app.Pin{}
	for ref, img := range images {
		if strings.Contains(ref, "@") {
			continue // its digest stands there
		}
		pins[ref] = e.pin(ctx, a, img, push, progress)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	for _, i := range a.Images {
		if i.Build == nil {
			continue
		}
		for _, s := range i.Build.Dockerfile.Stages {
			if s.Base == "scratch" || strings.Contains(s.Base, "@") || i.Build.Dockerfile.Final(s.Base) != nil {
				continue
			}
			digest, registry, why := e.store.BaseDigest(s.Base)
			pins[s.Base] = app.Pin{Digest: digest, Registry: registry, Why: why}
		}
	}
	return pins, nil
}

// pin gives the digest of one image, which is pushed where that is asked for and
// push allows it.
func (e *engine) pin(ctx context.Context, a *app.App, img *image.Image, push bool, progress sandbox.Progress) app.Pin {
	registry := a.Config.Registry()
	if e.o.Registry != "" {
		registry = e.o.Registry
	}
	var p app.Pin
	var err error
	switch {
	case img.Digest != "":
		return app.Pin{Digest: img.Digest, Registry: img.Registry}
	case registry == "":
		why := "it is known on this machine only: push it first, or name a registry (--registry)"
		if img.Facts.Note != "" {
			why = img.Facts.Note
		}
		return app.Pin{Why: why}
	case registry != app.InProcess && e.o.Registry == "":
		return app.Pin{Why: fmt.Sprintf("it would be pushed to %s, which road.yaml names, and that moves its tag there: to have it pushed, say road walk --registry %s", registry, registry)}
	case registry == app.InProcess || !push:
		p.Registry = app.InProcess
		p.Digest, err = e.store.Publish(ctx, e.hub.Hub, img)
	default:
		p.Registry = registry
		p.Name, p.Digest, err = e.store.PublishTo(ctx, registry, img, progress)
		if p.Name == img.Ref {
			p.Name = ""
		}
	}
	if err != nil {
		return app.Pin{Why: err.Error()}
	}
	return p
}

// A source is the registry as one attacked container's pod sees it.
type source struct {
	d *deployment
	w *app.Workload
	t sandbox.Target
}

var _ sandbox.Registry = (*source)(nil)

// Overwrite pushes the attacker's image over the tag of the container's. Until it is
// put back, nobody else moves a tag that the pod starts from.
func (s *source) Overwrite(ctx context.Context) (o *sandbox.Overwritten, err error) {
	c := s.container()
	if c == nil {
		return nil, fmt.Errorf("%s has no container %q", s.t.Workload, s.t.Container)
	}
	tag := tagOf(c.Image)
	h := s.d.e.hub
	release, err := h.takeAll(ctx, s.tags())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	for c := range s.w.Containers() { // the tags may be another variant's still
		if ref := c.Spec.Image; ref == tagOf(ref) && ref != tag {
			if err := s.put(ctx, ref); err != nil {
				return nil, err
			}
		}
	}
	original, err := s.original(c.Image)
	if err != nil {
		return nil, err
	}
	evil, err := s.implant(original, c)
	if err != nil {
		return nil, err
	}
	o = &sandbox.Overwritten{Tag: tag, Program: image.ImplantPath}
	if o.Was, err = h.Push(ctx, tag, original); err != nil {
		return nil, err
	}
	if o.Is, err = h.Push(ctx, tag, evil); err != nil {
		return nil, err
	}
	o.Restore = func(ctx context.Context) error {
		defer release()
		_, err := h.Push(ctx, tag, original)
		return err
	}
	return o, nil
}

// tags gives those of all containers of the pod.
func (s *source) tags() []string {
	var tags []string
	for c := range s.w.Containers() {
		tags = append(tags, tagOf(c.Spec.Image))
	}
	return tags
}

func tagOf(ref string) string {
	tag, _, _ := strings.Cut(ref, "@")
	return tag
}

// original gives a container's image as the application has it.
func (s *source) original(ref string) (v1.Image, error) {
	img := s.d.images[ref]
	if img == nil {
		return nil, fmt.Errorf("image %s was not prepared", ref)
	}
	return s.d.e.store.OCI(img)
}

// put has a tag stand for the image that the application has by it.
func (s *source) put(ctx context.Context, tag string) error {
	o, err := s.original(tag)
	if err != nil {
		return err
	}
	_, err = s.d.e.hub.Push(ctx, tag, o)
	return err
}

// implant gives the attacker's image: the probe, which waits to be seen.
func (s *source) implant(img v1.Image, c *corev1.Container) (v1.Image, error) {
	program, err := os.ReadFile(s.d.e.o.Probe)
	if err != nil {
		return nil, err
	}
	i := image.Implant{Program: program, Env: []string{"ROAD_PROBE=hold"}}
	if len(c.Command) > 0 {
		i.Command = c.Command[0]
	}
	return i.Put(img)
}

func (s *source) container() *corev1.Container {
	for c := range s.w.Containers() {
		if c.Spec.Name == s.t.Container {
			return c.Spec
		}
	}
	return nil
}

// Start starts the pod on a node without images.
func (s *source) Start(ctx context.Context) (*sandbox.Replica, error) {
	c := s.container()
	if c == nil {
		return nil, fmt.Errorf("%s has no container %q", s.t.Workload, s.t.Container)
	}
	images := map[string]*image.Image{}
	for c := range s.w.Containers() {
		if ref := c.Spec.Image; images[ref] == nil {
			img, err := s.pull(ctx, ref)
			if err != nil {
				return nil, fmt.Errorf("ErrImagePull: %w", err)
			}
			images[ref] = img
		}
	}
	m, err := s.d.replica(ctx, s.w, images)
	if err != nil {
		return nil, err
	}
	node, err := m.pod.Node(s.t.Container)
	if err != nil {
		return nil, errors.Join(err, m.close(0))
	}
	return &sandbox.Replica{Image: c.Image, Digest: images[c.Image].Digest, Node: node,
		Ready: func(ctx context.Context) error { return s.d.memberReady(ctx, m) },
		Close: func() error { return m.close(0) }}, nil
}

// pull gets an image as a node does that has none: a digest is what it asks for
// where the name has one, whatever the tag says.
func (s *source) pull(ctx context.Context, ref string) (*image.Image, error) {
	h, img := s.d.e.hub, s.d.images[ref]
	o, ok, err := h.Image(ctx, ref)
	if err != nil {
		return nil, err
	}
	switch {
	case ok:
		return s.d.e.store.FromRegistry(ctx, ref, o)
	case img == nil:
		return nil, fmt.Errorf("image %s was not prepared", ref)
	case strings.Contains(ref, "@"): // which the registry answered that it names
		return img, nil
	}
	if err := s.put(ctx, ref); err != nil {
		return nil, err
	}
	return s.pull(ctx, ref)
}
