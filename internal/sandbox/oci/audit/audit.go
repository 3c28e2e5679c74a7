// Package audit reads which system calls containers make: a seccomp filter
// whose rules log (SCMP_ACT_LOG) has the kernel write an audit record of each
// call, and the records are read from the audit subsystem's multicast group. No
// audit daemon is needed, and where one runs Fault forbids it: it would get every
// record too.
//
// The group shows the records of every process on the host. They are told apart
// by the audit session, a number that the kernel never gives twice: Mark begins
// one on the calling thread, and everything that is started from that thread
// carries it on, in whatever PID namespace.
//
// A record that got lost would make a filter that is too tight, so a loss makes the
// whole Log invalid: a receive buffer that ran over, and a gap in the kernel's
// serial numbers between two records of our own making. Two losses leave no gap
// and are not found: a process that waited in vain for room in the kernel's queue,
// which takes a minute unless the host was set otherwise, and a rule of the host's
// that excludes some records of seccomp, but not all.
package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveBuffer holds some hundred thousand records; with the default of 208 KiB a
// server under load loses one in ten.
const receiveBuffer = 32 << 20

// open joins the multicast group. in calls its argument in the host's network
// namespace, since the group exists only there.
func open(in func(func() error) error) (*os.File, error) {
	var fd int
	err := in(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_AUDIT)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the audit channel: %w", err)
	}
	f := os.NewFile(uintptr(fd), "audit")
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.AUDIT_NLGRP_READLOG - 1)})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join the audit channel's readers: %w", err), f.Close())
	}
	return f, nil
}

// read takes every record until the file is closed.
func (l *Log) read() {
	defer close(l.ended)
	b := make([]byte, 64<<10)
	for {
		n, err := l.f.Read(b)
		switch {
		case errors.Is(err, syscall.ENOBUFS):
			l.lose("the receive buffer ran over")
		case err != nil:
			l.lose("the channel was closed")
			return
		case n > unix.NLMSG_HDRLEN:
			l.take(b[:n])
		}
	}
}

func (l *Log) lose(why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == "" {
		l.lost = why
	}
}

func (l *Log) take(b []byte) {
	r, ok := parse(b[unix.NLMSG_HDRLEN:])
	if !ok {
		return
	}
	r.seccomp = binary.NativeEndian.Uint16(b[4:]) == unix.AUDIT_SECCOMP
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(r)
}

// A record is what is used of an audit record.
type record struct {
	seccomp bool
	serial  uint64
	session uint32
	call    Call
	action  uint32 // SECCOMP_RET_*, with its data
}

// parse reads a record's text:
//
//	audit(1700000000.123:456): auid=0 uid=1 gid=1 ses=7 ... arch=c000003e syscall=231 ... code=0x7ffc0000
//
// What a process chooses itself, comm and exe, the kernel quotes, or writes in
// hexadecimal where it holds a space or a quote, so that it cannot look like
// another field. ok is false for what has no serial number.
func parse(b []byte) (r record, ok bool) {
	b = bytes.TrimRight(b, "\x00\n")
	head, _, _ := bytes.Cut(b, []byte(")"))
	_, serial, found := bytes.Cut(head, []byte(":"))
	n, err := strconv.ParseUint(string(serial), 10, 64)
	if !found || err != nil {
		return record{}, false
	}
	r.serial = n
	r.session = uint32(field(b, " ses=", 10))
	r.action = uint32(field(b, " code=0x", 16))
	r.call = Call{Arch: uint32(field(b, " arch=", 16)), Number: int(field(b, " syscall=", 10))}
	return r, true
}

// field gives the number behind key, 0 where there is none.
func field(b []byte, key string, base int) uint64 {
	_, rest, found := bytes.Cut(b, []byte(key))
	if !found {
		return 0
	}
	text, _, _ := bytes.Cut(rest, []byte(" "))
	n, _ := strconv.ParseUint(string(text), base, 64)
	return n
}
