package image

import (
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The store and its builder speak in lines of JSON: requests on the builder's
// standard input, replies on its descriptor 3. Its standard output and error
// are a log, since libraries write there. End of input ends the builder.

// builderOptions are the builder's only argument.
type builderOptions struct {
	Root         string // BuildKit's root
	CgroupParent string
	PID          int  // of the store's process, for those who wait
	Alone        bool // nobody else's containers need what BuildKit keeps
}

type request struct {
	ID     int
	Build  *buildRequest `json:",omitempty"`
	Prune  time.Duration `json:",omitempty"` // drop what no build has used for so long
	Cancel bool          `json:",omitempty"`
}

type buildRequest struct {
	Name       string               // of the image, for progress
	Context    string               // folder
	Dockerfile string               // folder that holds Filename
	Filename   string               // as errors name it
	Target     string               `json:",omitempty"`
	Args       map[string]string    `json:",omitempty"`
	Bases      map[string]layoutRef // by the name under which BuildKit asks for them
}

// A layoutRef is an image in an OCI layout on disk.
type layoutRef struct{ Dir, Digest string }

// A reply answers the request with that ID; ID 0 is for all of them.
type reply struct {
	ID     int
	Line   string       `json:",omitempty"` // progress
	Result *buildResult `json:",omitempty"` // the last reply
	Error  *BuildError  `json:",omitempty"` // the last reply
}

type buildResult struct {
	ID     string // BuildKit's name of the content; "" for an empty image
	Lowers []string
	Config ocispec.ImageConfig
	Freed  int64 // bytes, of a request to prune
}
