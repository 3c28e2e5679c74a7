package sandbox

import "context"

// A Registry is where nodes get the images of the attacked pod. It stands for
// those that the manifests name.
type Registry interface {
	// Overwrite pushes, as somebody who stole the right to push, an image of the
	// attacker's over the tag of the attacked container's: the same image, but for
	// a program of his that starts in place of what it ran. Until Restore is
	// called, nobody else overwrites that tag.
	Overwrite(ctx context.Context) (*Overwritten, error)

	// Start starts one more of the attacked pod, as its spec says, on a node that
	// has none of its images. It does not wait for it.
	Start(ctx context.Context) (*Replica, error)
}

// An Overwritten is a tag that was moved.
type Overwritten struct {
	Tag     string // "web:1"
	Was, Is string // the digests that it stood for and stands for
	Program string // path of the attacker's program inside the container
	Restore func(context.Context) error
}

// A Replica is one more of the attacked pod, on another node.
type Replica struct {
	Image  string // what its spec calls the attacked container's image
	Digest string // of the image that the container runs, as its status has it (imageID)
	Node   Node   // that node's view of the attacked container
	Ready  func(context.Context) error
	Close  func() error
}
