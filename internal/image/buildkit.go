package image

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/moby/buildkit/cache/remotecache"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/exporter"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"
)

// A buildKit is BuildKit inside this process, reached through memory. It can be
// started once in the life of a process: some of its state is the package's.
type buildKit struct {
	client  *client.Client
	worker  *refWorker
	server  *grpc.Server
	closers []io.Closer
}

// newBuildKit starts BuildKit on o.Root, which must be locked. runtime runs the
// build steps; they use the network of this process.
func newBuildKit(ctx context.Context, o builderOptions, runtime string) (*buildKit, error) {
	sf := runc.SnapshotterFactory{Name: "overlayfs", New: func(dir string) (snapshots.Snapshotter, error) {
		return overlay.NewSnapshotter(dir, overlay.AsynchronousRemove)
	}}
	opt, err := runc.NewWorkerOpt(o.Root, sf, false, oci.ProcessSandbox, nil, nil,
		netproviders.Opt{Mode: "host"}, nil, runtime, "", false, nil, "", o.CgroupParent, nil)
	if err != nil {
		return nil, err
	}
	if o.Alone { // beside the builds; what runs from now on was used just now
		opt.GCPolicy = []client.PruneInfo{{All: true, KeepDuration: stale}}
	}
	opt.RegistryHosts = docker.ConfigureDefaultRegistries()
	w, err := base.NewWorker(ctx, opt)
	if err != nil {
		return nil, err
	}
	bk := &buildKit{worker: &refWorker{Worker: w, built: map[string]*buildResult{}}}
	ctl, err := newController(ctx, o.Root, bk.worker)
	if err != nil {
		return nil, err
	}
	bk.server = grpc.NewServer( // errors keep their types: the line of the Dockerfile, the step
		grpc.UnaryInterceptor(grpcerrors.UnaryServerInterceptor),
		grpc.StreamInterceptor(grpcerrors.StreamServerInterceptor))
	ctl.Register(bk.server)
	l := bufconn.Listen(1 << 20)
	go bk.server.Serve(l)
	bk.client, err = client.New(ctx, "", client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	bk.closers = []io.Closer{ctl, opt.Snapshotter}
	return bk, err
}

func newController(ctx context.Context, root string, w *refWorker) (*control.Controller, error) {
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(root, "cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(filepath.Join(root, "history.db"), 0o600, nil)
	if err != nil {
		return nil, err
	}
	return control.NewController(control.Opt{
		SessionManager:            sessions,
		WorkerController:          workers,
		Frontends:                 map[string]frontend.Frontend{"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build)},
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{},
		CacheManager:              solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		HistoryDB:                 history,
		CacheStore:                cache,
		LeaseManager:              w.LeaseManager(),
		ContentStore:              w.ContentStore(),
		GarbageCollect:            w.GarbageCollect,
	})
}

// Close writes everything to disk. The process must end after it.
func (bk *buildKit) Close() error {
	var errs []error
	for _, c := range bk.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// A refWorker is BuildKit's worker with one more exporter, "road", which hands
// out the directories of a result: no archive is written or read.
type refWorker struct {
	*base.Worker
	mu    sync.Mutex
	built map[string]*buildResult // by the exporter's attribute "key"
}

// Exporter finds an exporter by name.
func (w *refWorker) Exporter(name string, sm *session.Manager) (exporter.Exporter, error) {
	if name == "road" {
		return refExporter{w}, nil
	}
	return w.Worker.Exporter(name, sm)
}

func (w *refWorker) put(key string, r *buildResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.built[key] = r
}

func (w *refWorker) take(key string) *buildResult {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.built[key]
	delete(w.built, key)
	return r
}
