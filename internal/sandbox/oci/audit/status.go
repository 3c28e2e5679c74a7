package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Fault says why nothing may be recorded on this host, "" where it may. It changes
// nothing and makes no record.
//
// A running audit daemon gets every record too, and a log of a million calls of
// ours would push the host's own out of it, or, as it may be set, stop the host
// when the disk is full. Where a record that is lost panics the kernel, recording
// is out of the question.
//
// A process whose record finds the kernel's queue full waits until there is room,
// as long as the administrator has set; then the record is dropped, and not even a
// number is missing. With the default of a minute nothing that is awake loses one
// that way; with nothing everything does.
//
// The kernel answers only in the first PID namespace.
func Fault() string {
	s, err := ask()
	if err != nil {
		return "the audit subsystem's state cannot be asked for: " + err.Error()
	}
	return s.fault()
}

// A status is what is used of the kernel's struct audit_status.
type status struct {
	failure uint32 // what happens on a loss: failPanic, or less
	daemon  uint32 // PID of the audit daemon, 0 for none
	wait    uint32 // how long a process waits for room in the queue, in the kernel's ticks
}

// failPanic is AUDIT_FAIL_PANIC.
const failPanic = 2

func parseStatus(b []byte) (status, bool) {
	if len(b) < 40 {
		return status{}, false
	}
	at := func(offset int) uint32 { return binary.NativeEndian.Uint32(b[offset:]) }
	return status{failure: at(8), daemon: at(12), wait: at(36)}, true
}

func (s status) fault() string {
	switch {
	case s.daemon != 0:
		return fmt.Sprintf("an audit daemon runs (PID %d), whose log every recorded call would fill (systemctl stop auditd ends it)", s.daemon)
	case s.failure == failPanic:
		return "the kernel panics here when an audit record is lost (auditctl -f 1 mends it)"
	case s.wait == 0:
		return "audit records may be dropped unseen here (auditctl --backlog_wait_time 60000 mends it)"
	}
	return ""
}

// ask asks the kernel for its status.
func ask() (status, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	if err != nil {
		return status{}, err
	}
	defer unix.Close(fd)
	second := unix.NsecToTimeval(time.Second.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second); err != nil {
		return status{}, err
	}
	q := make([]byte, unix.NLMSG_HDRLEN)
	binary.NativeEndian.PutUint32(q, unix.NLMSG_HDRLEN)
	binary.NativeEndian.PutUint16(q[4:], unix.AUDIT_GET)
	binary.NativeEndian.PutUint16(q[6:], unix.NLM_F_REQUEST)
	if err := unix.Sendto(fd, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return status{}, err
	}
	b := make([]byte, 4096)
	for range 10 {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return status{}, err
		}
		if n < unix.NLMSG_HDRLEN {
			continue
		}
		body := b[unix.NLMSG_HDRLEN:n]
		switch kind := binary.NativeEndian.Uint16(b[4:]); {
		case kind == unix.AUDIT_GET:
			s, ok := parseStatus(body)
			if !ok {
				return status{}, errors.New("the kernel's answer is too short")
			}
			return s, nil
		case kind == unix.NLMSG_ERROR && len(body) >= 4:
			if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
				return status{}, unix.Errno(-code)
			}
		}
	}
	return status{}, errors.New("no answer")
}

// Prove says why system calls cannot be recorded here, "" where a record of our
// own making came back. fault is what Fault said in the first PID namespace; in is
// that of Begin.
func Prove(ctx context.Context, fault string, in func(func() error) error) string {
	if fault != "" {
		return fault
	}
	if Architecture() == "" {
		return "the system calls of this architecture have no names here"
	}
	l, err := Begin(ctx, in)
	if err == nil {
		_, err = l.End(ctx)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
