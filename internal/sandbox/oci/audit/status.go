package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// Fault says why records could get lost on this host without a trace, "" where
// they cannot. A process whose record finds the kernel's queue full waits until
// there is room, unless an administrator has set that time to nothing
// (auditctl --backlog_wait_time 0): then the record is dropped, and not even a
// number is missing.
//
// The kernel answers only in the first PID namespace.
func Fault() string {
	wait, err := backlogWait()
	switch {
	case err != nil:
		return "the audit subsystem's state cannot be asked for: " + err.Error()
	case wait == 0:
		return "audit records may be dropped unseen here (auditctl --backlog_wait_time 60000 mends it)"
	}
	return ""
}

// backlogWait asks for how long a process waits for room in the queue, in the
// kernel's ticks.
func backlogWait() (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_AUDIT)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	second := unix.NsecToTimeval(time.Second.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &second); err != nil {
		return 0, err
	}
	ask := make([]byte, unix.NLMSG_HDRLEN)
	binary.NativeEndian.PutUint32(ask, unix.NLMSG_HDRLEN)
	binary.NativeEndian.PutUint16(ask[4:], unix.AUDIT_GET)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST)
	if err := unix.Sendto(fd, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	b := make([]byte, 4096)
	for range 10 {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return 0, err
		}
		if n < unix.NLMSG_HDRLEN {
			continue
		}
		body := b[unix.NLMSG_HDRLEN:n]
		switch kind := binary.NativeEndian.Uint16(b[4:]); {
		case kind == unix.AUDIT_GET && len(body) >= 40:
			return binary.NativeEndian.Uint32(body[36:]), nil // struct audit_status
		case kind == unix.NLMSG_ERROR && len(body) >= 4:
			if code := int32(binary.NativeEndian.Uint32(body)); code != 0 {
				return 0, unix.Errno(-code)
			}
		}
	}
	return 0, errors.New("no answer")
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
