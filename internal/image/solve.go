package image

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
)

var buildKey atomic.Int64

// build runs one build inside the builder.
func (bk *buildKit) build(ctx context.Context, r *buildRequest, say func(string)) (*buildResult, error) {
	key := fmt.Sprint(buildKey.Add(1))
	o, err := solveOptions(r, key)
	if err != nil {
		return nil, err
	}
	statuses := make(chan *client.SolveStatus)
	t := newTracker(r.Name, say)
	eg, ectx := errgroup.WithContext(ctx)
	eg.Go(func() error { _, err := bk.client.Solve(ectx, nil, *o, statuses); return err })
	eg.Go(func() error {
		for s := range statuses {
			t.update(s)
		}
		return nil
	})
	if err := eg.Wait(); err != nil {
		return nil, failure(err, t)
	}
	res := bk.worker.take(key)
	if res == nil {
		return nil, errors.New("the build gave no image")
	}
	return res, nil
}

func solveOptions(r *buildRequest, key string) (*client.SolveOpt, error) {
	folder, err := fsutil.NewFS(r.Context)
	if err != nil {
		return nil, err
	}
	file, err := fsutil.NewFS(r.Dockerfile)
	if err != nil {
		return nil, err
	}
	o := &client.SolveOpt{
		Frontend: "dockerfile.v0",
		FrontendAttrs: map[string]string{
			"filename": r.Filename,
			"cmdline":  "road", // else a "# syntax=" line pulls and runs another front end
			"target":   r.Target,
		},
		LocalMounts: map[string]fsutil.FS{"context": folder, "dockerfile": file},
		OCIStores:   map[string]content.Store{},
		SharedKey:   "road:" + r.Context,
		Exports:     []client.ExportEntry{{Type: "road", Attrs: map[string]string{"key": key}}},
	}
	for k, v := range r.Args {
		o.FrontendAttrs["build-arg:"+k] = v
	}
	for name, base := range r.Bases {
		id := "base" + strings.TrimPrefix(base.Digest, "sha256:")[:16]
		if o.OCIStores[id] == nil {
			if o.OCIStores[id], err = local.NewStore(base.Dir); err != nil {
				return nil, err
			}
		}
		o.FrontendAttrs["context:"+name] = "oci-layout://" + id + "@" + base.Digest
	}
	return o, nil
}

// failure says in which line of the Dockerfile, with which command and with
// which last words a build failed.
func failure(err error, t *tracker) error {
	b := &BuildError{Reason: lastCause(err)}
	if sources := errdefs.Sources(err); len(sources) > 0 {
		s := sources[len(sources)-1]
		if s.Info != nil {
			b.File = s.Info.Filename
		}
		for _, r := range s.Ranges {
			if b.Line == 0 || int(r.Start.Line) < b.Line {
				b.Line = int(r.Start.Line)
			}
		}
	}
	var v *errdefs.VertexError
	if errors.As(err, &v) {
		b.Command, b.Output = t.vertex(v.Digest)
	}
	return b
}

// lastCause takes BuildKit's wrapping off: what remains is what happened.
func lastCause(err error) string {
	s := err.Error()
	if _, after, ok := strings.Cut(s, "did not complete successfully: "); ok {
		return after
	}
	s = strings.TrimPrefix(s, "failed to solve: ")
	if i := strings.LastIndex(s, "failed to calculate checksum of ref "); i >= 0 {
		if _, after, ok := strings.Cut(s[i:], ": "); ok {
			return after
		}
	}
	return s
}
