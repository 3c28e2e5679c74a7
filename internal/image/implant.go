package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ImplantPath is where an implant lies in the image that has one.
const ImplantPath = "/.implant/run"

// An Implant is a static program that somebody puts into another's image, in the
// place of what it runs.
type Implant struct {
	Program []byte
	Env     []string // for the program: "KEY=value"

	// Command is the first word of a command that a manifest gives; "" where the
	// image's own is run. The program answers to that name too.
	Command string
}

// Put gives img with the implant on top of it.
func (i Implant) Put(img v1.Image) (v1.Image, error) {
	content, err := i.layer()
	if err != nil {
		return nil, err
	}
	out, err := mutate.AppendLayers(img, static.NewLayer(content, types.OCIUncompressedLayer))
	if err != nil {
		return nil, err
	}
	c, err := out.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Config.Entrypoint, c.Config.Cmd = []string{ImplantPath}, nil
	search := path.Dir(ImplantPath)
	for _, kv := range c.Config.Env {
		if old, ok := strings.CutPrefix(kv, "PATH="); ok {
			search += ":" + old
		}
	}
	c.Config.Env = slices.DeleteFunc(c.Config.Env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") })
	c.Config.Env = append(append(c.Config.Env, "PATH="+search), i.Env...)
	return mutate.ConfigFile(out, c)
}

// layer is the program, and the name by which a manifest calls it.
func (i Implant) layer() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	headers := []*tar.Header{
		{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(path.Dir(ImplantPath), "/") + "/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(ImplantPath, "/"), Mode: 0o755, Size: int64(len(i.Program))},
	}
	if i.Command != "" {
		at := path.Clean(i.Command)
		if !path.IsAbs(at) {
			at = path.Join(path.Dir(ImplantPath), path.Base(at))
		}
		if at != ImplantPath {
			headers = append(headers, &tar.Header{Typeflag: tar.TypeSymlink, Name: strings.TrimPrefix(at, "/"), Linkname: ImplantPath, Mode: 0o777})
		}
	}
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("implant: %w", err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(i.Program); err != nil {
				return nil, fmt.Errorf("implant: %w", err)
			}
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
