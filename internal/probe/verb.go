package probe

// The verbs: what the probe can do. Behind each stand its arguments and its
// result. A failure is an Error with the kernel's answer, except where the
// result says otherwise. Times are milliseconds; 0 means the default.
const (
	Idle    = "idle"    // IdleArgs, none: what the probe's own runtime does sooner or later, and nothing else
	Status  = "status"  // none, string: /proc/self/status of the probe
	Environ = "environ" // none, []string: the environment that the app has too

	Read     = "read"     // ReadArgs, ReadResult
	Write    = "write"    // WriteArgs, none
	Rename   = "rename"   // FromTo, none
	Symlink  = "symlink"  // FromTo, none; From is the text of the link
	Remove   = "remove"   // Path, none; a file or an empty directory
	Mkdir    = "mkdir"    // ModeArgs, none
	Chmod    = "chmod"    // ModeArgs, none
	Chown    = "chown"    // ChownArgs, none; does not follow links
	Stat     = "stat"     // Path, StatResult; does not follow links
	ReadDir  = "readdir"  // Path, []string: names, sorted
	Writable = "writable" // Path, []string: the directories there in which the app can make files
	Mknod    = "mknod"    // MknodArgs, none
	Mount    = "mount"    // MountArgs, none

	Exec   = "exec"   // ExecArgs, ExecResult
	Kill   = "kill"   // KillArgs, none
	UserNS = "userns" // none, UserNSResult: a child in a user namespace of its own, until Release

	Dial    = "dial"    // DialArgs, DialResult
	Open    = "open"    // OpenArgs, OpenResult: a TCP connection to speak through, until Release
	Send    = "send"    // SendArgs, none
	Receive = "receive" // ReceiveArgs, ReceiveResult
	Listen  = "listen"  // ListenArgs, ListenResult; serves until Release
	Resolve = "resolve" // ResolveArgs, ResolveResult
	RawSend = "rawsend" // RawArgs, none: one UDP packet with a source of one's choice
	Socket  = "socket"  // SocketArgs, none: opened and closed at once

	Syscall = "syscall" // SyscallArgs, SyscallResult; the kernel's refusal is a result, not an error
	AddKey  = "addkey"  // KeyArgs, KeyResult

	Fill    = "fill"    // FillArgs, none
	Alloc   = "alloc"   // AllocArgs, Held: memory, until Release
	Spin    = "spin"    // SpinArgs, Held: busy processes, until their time is over or Release
	Fork    = "fork"    // ForkArgs, ForkResult: processes, until Release
	Release = "release" // Held, none: ends what the hold stands for

	Cancel = "cancel" // CancelArgs; the client sends it by itself
)

// IdleArgs say how much the probe does by itself.
type IdleArgs struct {
	Runtime bool `json:"runtime,omitempty"` // only what every Go program's runtime does: no files, no programs
}

// Path names one file.
type Path struct {
	Path string `json:"path"`
}

// ReadArgs ask for the beginning of a file.
type ReadArgs struct {
	Path  string `json:"path"`
	Limit int64  `json:"limit,omitempty"` // bytes, default 1 MiB
}

// ReadResult holds bytes; JSON carries them as base64.
type ReadResult struct {
	Data []byte `json:"data"`
}

// WriteArgs make or change a file.
type WriteArgs struct {
	Path   string `json:"path"`
	Data   []byte `json:"data,omitempty"`
	Self   bool   `json:"self,omitempty"`   // the content is the probe's own program: a tool that runs anywhere
	Append bool   `json:"append,omitempty"` // else what was there is gone
	Mode   uint32 `json:"mode,omitempty"`   // as in chmod(1), setuid too; 0: 0644 for a new file, else unchanged
}

// FromTo names two places.
type FromTo struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// ModeArgs give a mode as in chmod(1).
type ModeArgs struct {
	Path string `json:"path"`
	Mode uint32 `json:"mode"`
}

// ChownArgs give an owner; -1 leaves as it is.
type ChownArgs struct {
	Path string `json:"path"`
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// StatResult is what the container's own stat shows.
type StatResult struct {
	UID    int    `json:"uid"`
	GID    int    `json:"gid"`
	Mode   uint32 `json:"mode"` // as in chmod(1), with setuid, setgid and sticky
	Type   string `json:"type"` // "file", "dir", "link", "char", "block", "fifo", "socket"
	Size   int64  `json:"size"`
	Device uint64 `json:"device,omitempty"` // of a device node
}

// MknodArgs describe a device node; Major 0 and Minor 0 with no kind make a FIFO.
type MknodArgs struct {
	Path  string `json:"path"`
	Kind  string `json:"kind"` // "char", "block" or "fifo"
	Major uint32 `json:"major,omitempty"`
	Minor uint32 `json:"minor,omitempty"`
	Mode  uint32 `json:"mode,omitempty"` // default 0600
}

// MountArgs are those of mount(2).
type MountArgs struct {
	Source string `json:"source,omitempty"`
	Target string `json:"target"`
	FSType string `json:"fstype,omitempty"`
	Flags  uint64 `json:"flags,omitempty"`
	Data   string `json:"data,omitempty"`
}

// ExecArgs describe a program to run.
type ExecArgs struct {
	Argv       []string `json:"argv"`                 // Argv[0] is looked up in PATH where it has no slash
	Env        []string `json:"env,omitempty"`        // default: the probe's own
	Dir        string   `json:"dir,omitempty"`        // default: the probe's own
	Stdin      []byte   `json:"stdin,omitempty"`      // default: nothing
	Memory     bool     `json:"memory,omitempty"`     // the program comes from a memfd and no file: Program, or the probe's own
	Program    []byte   `json:"program,omitempty"`    // for Memory
	UID        *int     `json:"uid,omitempty"`        // become this user first; needs the power to
	GID        *int     `json:"gid,omitempty"`        // default: UID
	Background bool     `json:"background,omitempty"` // return at once; it is killed when the probe ends
	Timeout    int      `json:"timeout,omitempty"`    // milliseconds, default 10 s; then it is killed; not for Background
}

// ExecResult says how a program ended. That it did not start is an Error.
type ExecResult struct {
	PID      int    `json:"pid"`                // inside the container
	Output   string `json:"output"`             // standard output and error as they came, at most 1 MiB
	Status   int    `json:"status"`             // exit status; 128+n for signal n
	TimedOut bool   `json:"timedOut,omitempty"` // it was killed because its time was over
}

// KillArgs send a signal.
type KillArgs struct {
	PID    int `json:"pid"`
	Signal int `json:"signal,omitempty"` // default 9
}

// UserNSResult shows the child in its namespace.
type UserNSResult struct {
	Hold   int    `json:"hold"`
	PID    int    `json:"pid"`    // inside the container
	UIDMap string `json:"uidMap"` // its /proc/PID/uid_map
}

// DialArgs ask for one exchange.
type DialArgs struct {
	Network string `json:"network,omitempty"` // "tcp" (default) or "udp"
	Addr    string `json:"addr"`              // numeric: "10.0.0.1:80", "[::1]:80"
	Send    []byte `json:"send,omitempty"`
	Expect  int    `json:"expect,omitempty"`  // read until so many bytes came; -1 until the end, at most 1 MiB
	Timeout int    `json:"timeout,omitempty"` // milliseconds for all of it, default 3 s
}

// DialResult holds what came back.
type DialResult struct {
	Local    string `json:"local"` // own address
	Data     []byte `json:"data,omitempty"`
	TimedOut bool   `json:"timedOut,omitempty"` // connected, but less came than was expected
}

// OpenArgs ask for a connection that stays.
type OpenArgs struct {
	Addr    string `json:"addr"`              // numeric: "10.0.0.1:443"
	Timeout int    `json:"timeout,omitempty"` // milliseconds, default 3 s
}

// OpenResult names the connection.
type OpenResult struct {
	Hold  int    `json:"hold"`
	Local string `json:"local"` // own address
}

// SendArgs say something on an open connection.
type SendArgs struct {
	Hold    int    `json:"hold"`
	Data    []byte `json:"data"`
	Timeout int    `json:"timeout,omitempty"` // milliseconds, default 3 s
}

// ReceiveArgs wait for what comes next on an open connection.
type ReceiveArgs struct {
	Hold    int `json:"hold"`
	Timeout int `json:"timeout,omitempty"` // milliseconds, default 3 s
}

// ReceiveResult is what came, at most 64 KiB.
type ReceiveResult struct {
	Data []byte `json:"data,omitempty"`
	End  bool   `json:"end,omitempty"` // the other side has closed
}

// ListenArgs describe a listener that sends Send to whoever comes.
type ListenArgs struct {
	Network string `json:"network,omitempty"` // "tcp" (default) or "udp"
	Addr    string `json:"addr"`              // numeric: "0.0.0.0:4444"; port 0: a free one
	Send    []byte `json:"send,omitempty"`
}

// ListenResult says where.
type ListenResult struct {
	Hold int    `json:"hold"`
	Addr string `json:"addr"`
}

// ResolveArgs ask a name server.
type ResolveArgs struct {
	Name    string `json:"name"`              // with a dot at its end: as it is; else with the search list of /etc/resolv.conf
	Type    string `json:"type,omitempty"`    // "A" (default), "AAAA" or "TXT"
	Server  string `json:"server,omitempty"`  // "10.96.0.10:53"; default: the first of /etc/resolv.conf
	Timeout int    `json:"timeout,omitempty"` // milliseconds for each question, default 3 s
}

// ResolveResult holds the last answer.
type ResolveResult struct {
	Name    string   `json:"name"`  // the name that was answered, complete
	RCode   int      `json:"rcode"` // 0 no error, 3 no such name
	Answers []string `json:"answers,omitempty"`
}

// RawArgs describe one IPv4 UDP packet.
type RawArgs struct {
	Source string `json:"source"` // "10.96.0.10:53", whosever it is
	Dest   string `json:"dest"`
	Data   []byte `json:"data,omitempty"`
}

// SocketArgs are those of socket(2).
type SocketArgs struct {
	Family   int `json:"family"`
	Type     int `json:"type"`
	Protocol int `json:"protocol,omitempty"`
}

// BadPointer is an argument of a system call that points nowhere.
const BadPointer = "badptr"

// SyscallArgs describe one system call. It is made on a thread of its own, which
// ends after it.
type SyscallArgs struct {
	Number int      `json:"number"`         // of the probe's architecture
	Args   []string `json:"args,omitempty"` // at most six: numbers as Go writes them ("-1", "0x10000000") or BadPointer
}

// SyscallResult is the kernel's answer.
type SyscallResult struct {
	Value   int64  `json:"value"`
	Errno   int    `json:"errno"`
	Message string `json:"message,omitempty"` // the errno as libc words it
}

// KeyArgs describe a key of type "user".
type KeyArgs struct {
	Keyring     string `json:"keyring,omitempty"` // "session" (default) or "process"
	Description string `json:"description"`
	Data        []byte `json:"data"`
}

// KeyResult names the key as /proc/keys does.
type KeyResult struct {
	Serial int `json:"serial"`
}

// FillArgs make a file that takes so many bytes of its disk.
type FillArgs struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// AllocArgs ask for anonymous memory, every page of it written.
type AllocArgs struct {
	Bytes int64 `json:"bytes"`
}

// SpinArgs ask for busy processes.
type SpinArgs struct {
	Processes int `json:"processes"`
	Millis    int `json:"millis"` // at most a minute
}

// ForkArgs ask for processes that only wait.
type ForkArgs struct {
	Count int `json:"count"`
}

// ForkResult says how many there are. Fewer than asked for is no error: Refused
// is the kernel's answer then.
type ForkResult struct {
	Hold    int    `json:"hold"`
	Count   int    `json:"count"`
	Refused string `json:"refused,omitempty"`
}

// Held names something that lasts until Release, or until the probe ends.
type Held struct {
	Hold int `json:"hold"`
}

// CancelArgs name the request that is given up.
type CancelArgs struct {
	ID int `json:"id"`
}
