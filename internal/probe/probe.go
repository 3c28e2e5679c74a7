// Package probe is the line protocol between a walk and road-probe, the small
// static program that acts inside a container as the app would if its attacker
// had loaded code into it.
//
// One request and one reply are one line of JSON each. The probe's first line is
// Hello: an attack whose probe never said it is unproven, never blocked. The
// probe has primitives only; what an attack is stands in its step's folder.
package probe

import (
	"encoding/json"
	"syscall"
)

// Version changes when a request or reply changes its meaning.
const Version = 1

// Hello is the first line that the probe writes.
type Hello struct {
	Road int `json:"road"` // Version
	PID  int `json:"pid"`
	UID  int `json:"uid"`
	GID  int `json:"gid"`
}

// A Request asks for one act.
type Request struct {
	ID   int             `json:"id"`
	Verb string          `json:"verb"`
	Args json.RawMessage `json:"args,omitempty"`
}

// A Reply answers the request with the same ID. Exactly one of Result and Error
// is given.
type Reply struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// An Error is what the kernel answered, or why the probe could not even ask.
type Error struct {
	Op      string `json:"op"`             // "open", "connect"
	Path    string `json:"path,omitempty"` // what it was asked of
	Errno   int    `json:"errno"`          // 0 where it is not the kernel's answer
	Message string `json:"message"`        // as libc words it: "Permission denied"
}

// Error gives the line as a shell tool would print it: "open /etc/x: Permission denied".
func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	return s + ": " + e.Message
}

// Unwrap gives the kernel's answer, so that errors.Is(err, syscall.EACCES) and
// errors.Is(err, fs.ErrPermission) work across the line; nil where it is not the
// kernel's.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return syscall.Errno(e.Errno)
}
