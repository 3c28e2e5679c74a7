package app

// Seen is what runs of an application showed. It only grows: a run that needed
// a directory is not contradicted by one that did not.
//
// It is plain data so that `road learn --save` can save it and `road fix --seen`
// can read it back.
type Seen struct {
	Images     map[string]ImageFacts             `json:"images,omitempty"`     // by Image.Ref, with the content that was run
	Containers map[string]map[string]*SeenInside `json:"containers,omitempty"` // by Workload.ID, then container name

	// Pins says by which digest registries know the images as they were run, and
	// the images that Dockerfiles start from: by reference as it is written. It is
	// replaced as a whole, since a digest is of one content.
	Pins map[string]Pin `json:"pins,omitempty"`
}

// A Pin is a digest that a registry answered, or why there is none.
type Pin struct {
	Name     string `json:"name,omitempty"`     // the image's name in that registry, where it is not the written one
	Digest   string `json:"digest,omitempty"`   // "sha256:..."
	Registry string `json:"registry,omitempty"` // who answered: "registry.example.com", InProcess
	Why      string `json:"why,omitempty"`      // why there is no digest
}

// InProcess is the registry that road brings along, for those who have none yet
// (road.yaml: steps: registry). What it answers holds on this machine only.
const InProcess = "in-process"

// ImageFacts is what is known of an image once it has been built or pulled.
type ImageFacts struct {
	ID         string           `json:"id"`         // changes whenever the content or the config does
	User       string           `json:"user"`       // as in the image config: "", "5678", "redis", "1:2"
	WorkingDir string           `json:"workingDir"` // "" means /
	Entrypoint []string         `json:"entrypoint"` //
	Cmd        []string         `json:"cmd"`        //
	Env        []string         `json:"env"`        // KEY=value
	Volumes    []string         `json:"volumes"`    // directories that the image declares as volumes, sorted
	Ports      []int            `json:"ports"`      // exposed TCP ports, sorted
	Accounts   []Account        `json:"accounts"`   // the image's /etc/passwd
	Owners     map[string]Owner `json:"owners"`     // of WorkingDir, HOME and Volumes, where they exist
	Bytes      int64            `json:"bytes"`      // of all layers, unpacked

	// Executables counts the names under which programs can be run, 0 where nobody
	// counted; Shell is the first shell among them, "" for none.
	Executables int    `json:"executables,omitempty"`
	Shell       string `json:"shell,omitempty"`

	Streams []string `json:"streams,omitempty"` // links to the standard streams, outside of /dev, sorted

	Labels map[string]string `json:"labels,omitempty"`
	Note   string            `json:"note,omitempty"` // how it came about where that is not as written: "debian:trixie-slim made from Debian's packages"
}

// An Account is one line of an image's /etc/passwd.
type Account struct {
	Name  string `json:"name"`
	UID   int    `json:"uid"`
	GID   int    `json:"gid"`
	Home  string `json:"home"`
	Shell string `json:"shell"`
}

// An Owner is who may do what with a file, as the image has it.
type Owner struct {
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	Mode uint32 `json:"mode"` // permission bits, setuid, setgid and sticky as in chmod(1)
}

// SeenInside is what one container did, over all runs.
type SeenInside struct {
	Written  []string          `json:"written"`            // directories of the image whose content changed, sorted, none below another
	Writes   map[string]Write  `json:"writes,omitempty"`   // what it wrote where, by directory: Written in more detail
	Denied   []Denied          `json:"denied"`             // what a stricter run was refused
	Opened   []string          `json:"opened"`             // files of the image that it opened, by their real names, sorted; nil where nobody looked
	Ran      []string          `json:"ran"`                // those of them that it ran as programs
	Links    map[string]string `json:"links,omitempty"`    // names of links that lead to one of Ran in program directories, or, by Debian's alternatives, to one of Opened
	Packages map[string]string `json:"packages,omitempty"` // the Debian package that each of Opened comes from; nil where its image has none
	Unseen   string            `json:"unseen,omitempty"`   // why Opened is nil though somebody looked
	Listens  []int             `json:"listens"`            // TCP ports that the app listened on

	// What the container's pod called, the same for all its containers. Connects
	// is nil where nobody looked, and empty where the pod called nobody.
	Connects []Connection `json:"connects"`
	Resolves bool         `json:"resolves"` // it asked cluster DNS

	// Capabilities are those without which it did not work, found by trial:
	// "DAC_OVERRIDE", as manifests write them, sorted.
	Capabilities []string `json:"capabilities,omitempty"`

	// Whole are directories of the image that have to be writable themselves: with
	// only those that it made in them it did not work, found by trial; sorted.
	Whole []string `json:"whole,omitempty"`

	// Kept are directories of the image without which it did not work when its
	// image held only what it was seen to open, found by trial; sorted.
	Kept []string `json:"kept,omitempty"`

	// Missed are files that it said were missing when its image held only what it was
	// seen to need; a name without a directory may be anywhere. Sorted.
	Missed []string `json:"missed,omitempty"`

	Peak *Peak `json:"peak,omitempty"` // nil where nobody measured

	SysCalls *SysCalls `json:"sysCalls,omitempty"` // nil where nobody traced it
}

// A Peak is the most that any copy of a container used at once, from its start
// to the end of the application's checks, which are the only load that it had.
// Runs differ a little, so a figure is replaced only by one that is greater by
// more than a quarter.
type Peak struct {
	MemoryBytes int64 `json:"memoryBytes"` // anonymous memory, without the page cache
	MilliCPU    int64 `json:"milliCPU"`    // thousandths of a core, over 100 ms
	LayerBytes  int64 `json:"layerBytes"`  // in its writable layer
}

// Raise takes over each figure of q that is greater by more than a quarter.
func (p *Peak) Raise(q Peak) {
	raise := func(to *int64, n int64) {
		if n > *to+*to/4 {
			*to = n
		}
	}
	raise(&p.MemoryBytes, q.MemoryBytes)
	raise(&p.MilliCPU, q.MilliCPU)
	raise(&p.LayerBytes, q.LayerBytes)
}

// A Denied is one thing that the application was seen to need and not get.
type Denied struct {
	What string `json:"what"` // "write", "read", "own": it would have changed an owner
	Name string `json:"name"` // the path
	Line string `json:"line"` // the log line that showed it
}

// Inside gives the record of one container, made if it is not there yet.
func (s *Seen) Inside(workload, container string) *SeenInside {
	if s.Containers == nil {
		s.Containers = map[string]map[string]*SeenInside{}
	}
	if s.Containers[workload] == nil {
		s.Containers[workload] = map[string]*SeenInside{}
	}
	if s.Containers[workload][container] == nil {
		s.Containers[workload][container] = &SeenInside{}
	}
	return s.Containers[workload][container]
}
