package image

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/exporter"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A refExporter notes where the directories of a result are.
type refExporter struct{ w *refWorker }

// Resolve makes an instance for one build; attrs["key"] names it.
func (e refExporter) Resolve(_ context.Context, id int, attrs map[string]string) (exporter.ExporterInstance, error) {
	return &refInstance{e.w, id, attrs}, nil
}

type refInstance struct {
	w     *refWorker
	id    int
	attrs map[string]string
}

func (i *refInstance) ID() int                  { return i.id }
func (i *refInstance) Name() string             { return "exporting" }
func (i *refInstance) Type() string             { return "road" }
func (i *refInstance) Attrs() map[string]string { return i.attrs }
func (i *refInstance) Config() *exporter.Config { return exporter.NewConfig() }

// Export makes sure that every layer lies unpacked on disk. It keeps a
// reference for the life of the builder, so that nothing is collected meanwhile.
func (i *refInstance) Export(ctx context.Context, src *exporter.Source, _ exporter.ExportBuildInfo) (map[string]string, exporter.FinalizeFunc, exporter.DescriptorReference, error) {
	r, err := i.export(ctx, src)
	if err != nil {
		return nil, nil, nil, err
	}
	i.w.put(i.attrs["key"], r)
	return nil, nil, nil, nil
}

func (i *refInstance) export(ctx context.Context, src *exporter.Source) (*buildResult, error) {
	ref, raw := src.Ref, src.Metadata[exptypes.ExporterImageConfigKey]
	for platform, r := range src.Refs { // a result that is keyed by platform; only one is ever asked for
		ref, raw = r, src.Metadata[exptypes.ExporterImageConfigKey+"/"+platform]
	}
	var cfg ocispec.Image
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	r := &buildResult{Config: cfg.Config}
	if ref == nil { // FROM scratch and nothing else
		return r, nil
	}
	kept := ref.Clone()
	if err := kept.Finalize(ctx); err != nil { // else the last layer is an upper directory
		return nil, err
	}
	if err := kept.Extract(ctx, nil); err != nil { // else a base that no step touched has no files
		return nil, err
	}
	m, err := kept.Mount(ctx, true, nil)
	if err != nil {
		return nil, err
	}
	mounts, _, err := m.Mount()
	if err != nil {
		return nil, err
	}
	r.ID = kept.ID()
	r.Lowers, err = lowersOf(mounts)
	if err != nil {
		return nil, err
	}
	return r, cache.RefMetadata(kept).SetDescription("image of road")
}

// lowersOf reads the directories, top first, from the mounts with which the
// snapshotter would show a read-only result: an overlay, one bind mount where
// there is one layer, nothing for an empty image.
func lowersOf(mounts []mount.Mount) ([]string, error) {
	if len(mounts) == 0 {
		return nil, nil
	}
	m := mounts[0]
	if len(mounts) > 1 {
		return nil, fmt.Errorf("an image of %d mounts", len(mounts))
	}
	switch m.Type {
	case "bind", "rbind":
		return []string{m.Source}, nil
	case "overlay":
		var dirs []string
		for _, o := range m.Options {
			if list, ok := strings.CutPrefix(o, "lowerdir="); ok {
				dirs = append(dirs, strings.Split(list, ":")...)
			}
			if dir, ok := strings.CutPrefix(o, "upperdir="); ok {
				dirs = slices.Insert(dirs, 0, dir)
			}
		}
		return dirs, nil
	}
	return nil, fmt.Errorf("an image mounted as %s", m.Type)
}
