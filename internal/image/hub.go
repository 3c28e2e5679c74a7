package image

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// A Hub is a registry in this process, which has no address: nobody but its
// holder reaches it. It speaks the distribution protocol, whatever registry an
// image's name begins with, and holds tags that can be moved and manifests by
// digest. The layers of the store's own images are read from the store.
type Hub struct {
	store     *Store
	transport http.RoundTripper
}

// NewHub gives an empty registry for the images of s.
func (s *Store) NewHub() *Hub {
	blobs := &hubBlobs{BlobHandler: registry.NewInMemoryBlobHandler(), store: s}
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(blobs))
	return &Hub{s, handlerTransport{h}}
}

// Push puts img in the place of what ref, which has a tag, stood for, and gives
// the digest that the registry answers for the tag from now on.
func (h *Hub) Push(ctx context.Context, ref string, img v1.Image) (digest string, err error) {
	r, err := h.name(ref)
	if err != nil {
		return "", err
	}
	if err := remote.Write(r, img, h.options(ctx)...); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	d, err := remote.Head(r, h.options(ctx)...)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return d.Digest.String(), nil
}

// Image asks the registry for what ref stands for now; ok is false where it
// knows no such image.
func (h *Hub) Image(ctx context.Context, ref string) (img v1.Image, ok bool, err error) {
	r, err := h.name(ref)
	if err != nil {
		return nil, false, err
	}
	img, err = remote.Image(r, h.options(ctx)...)
	if err != nil && answered(err) {
		return nil, false, nil
	}
	return img, err == nil, err
}

func (h *Hub) options(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(h.transport), remote.WithUserAgent("road")}
}

// name makes of a reference one of the hub's: the registry becomes a folder, so
// that images of the same name in two registries stay two.
func (h *Hub) name(ref string) (name.Reference, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	folder := strings.ReplaceAll(r.Context().RegistryStr(), ":", "_")
	repo, err := name.NewRepository("hub.localhost/"+strings.ToLower(folder)+"/"+r.Context().RepositoryStr(), name.Insecure)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	if d, ok := r.(name.Digest); ok {
		return repo.Digest(d.DigestStr()), nil
	}
	return repo.Tag(r.Identifier()), nil
}

// hubBlobs serves the store's layers besides what was pushed.
type hubBlobs struct {
	registry.BlobHandler // in memory
	store                *Store
}

// Get reads a blob.
func (b *hubBlobs) Get(ctx context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	if dir := b.store.digests.dir(h); dir != "" {
		return tarOf(dir), nil
	}
	return b.BlobHandler.Get(ctx, repo, h)
}

// Stat gives the size of a blob, which says that it need not be pushed.
func (b *hubBlobs) Stat(ctx context.Context, repo string, h v1.Hash) (int64, error) {
	if dir := b.store.digests.dir(h); dir != "" {
		l, err := b.store.digests.layer(dir)
		if err != nil {
			return 0, err
		}
		return l.size, nil
	}
	return b.BlobHandler.(registry.BlobStatHandler).Stat(ctx, repo, h)
}

// Put takes a blob.
func (b *hubBlobs) Put(ctx context.Context, repo string, h v1.Hash, rc io.ReadCloser) error {
	return b.BlobHandler.(registry.BlobPutHandler).Put(ctx, repo, h, rc)
}

// A handlerTransport answers requests by a handler of this process, whatever
// address they are for.
type handlerTransport struct{ http.Handler }

// RoundTrip gives the answer as soon as its header is there; the body follows.
func (t handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body == nil {
		req = req.Clone(req.Context())
		req.Body = http.NoBody
	}
	r, w := io.Pipe()
	a := &written{header: http.Header{}, begun: make(chan int, 1), body: w}
	go func() {
		defer req.Body.Close()
		t.ServeHTTP(a, req)
		a.WriteHeader(http.StatusOK)
		w.Close()
	}()
	select {
	case status := <-a.begun:
		return &http.Response{StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: a.header.Clone(), Body: r, ContentLength: length(a.header), Request: req}, nil
	case <-req.Context().Done():
		r.CloseWithError(req.Context().Err())
		return nil, req.Context().Err()
	}
}

// Written is what a handler writes.
type written struct {
	header http.Header
	begun  chan int // gets the status once
	wrote  bool
	body   *io.PipeWriter
}

func (a *written) Header() http.Header { return a.header }

// WriteHeader begins the answer; only the first call counts.
func (a *written) WriteHeader(status int) {
	if !a.wrote {
		a.wrote = true
		a.begun <- status
	}
}

func (a *written) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// length is that of the body, -1 where the header does not say it.
func length(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
