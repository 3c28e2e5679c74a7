package sandbox

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
)

// Admission is what the API server says of an object, before it is created.
type Admission struct {
	Allowed  bool
	Message  string   // why not: `pods "x" is forbidden: violates PodSecurity ...`
	Warnings []string // what kubectl shows behind "Warning: "
}

// Control is the cluster's side of a scene: its API server, and what those
// recorded who stand around the application in the place of the real thing.
type Control interface {
	// Admit asks the API server to create an object, as an attacker who may
	// create objects in the attacked pod's namespace, which is that of an object
	// without one. Nothing is created. An error means that nobody could tell.
	Admit(ctx context.Context, o runtime.Object) (Admission, error)

	// Update asks it in the same way to change an object from old to now, or, where
	// it is named, a subresource of it: "ephemeralcontainers". Only who decides on
	// admission is asked, so the change has to be one that the API server takes of
	// an object that is there: another image, another container to debug with.
	Update(ctx context.Context, old, now runtime.Object, subresource string) (Admission, error)

	// Log gives what one of them was asked by the attacked pod since the scene
	// was set up, oldest first: "GET /version by system:anonymous: 200".
	Log(StandIn) []string
}

// A StandIn is one of them.
type StandIn string

// The stand-ins.
const (
	Metadata   StandIn = "metadata"    // a cloud's metadata service at MetadataAddr
	API        StandIn = "api"         // the cluster's API server, Service default/kubernetes
	NameServer StandIn = "name-server" // the attacker's, for AttackerZone; whoever asked, since cluster DNS asks for all
)

// Where they are found.
const (
	MetadataAddr = "169.254.169.254:80" // HTTP, as the clouds have it
	AttackerZone = "attacker.example."  // cluster DNS knows that the attacker answers for it
)
