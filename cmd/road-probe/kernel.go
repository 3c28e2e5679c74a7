package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// systemCall makes one call on a thread that ends with it, so that nothing that
// the call changes about its thread stays.
func systemCall(_ context.Context, _ *agent, args probe.SyscallArgs) (any, error) {
	var a [6]uintptr
	if len(args.Args) > len(a) {
		return nil, fmt.Errorf("%d arguments: a system call has at most %d", len(args.Args), len(a))
	}
	for i, s := range args.Args {
		n, err := argument(s)
		if err != nil {
			return nil, err
		}
		a[i] = n
	}
	answer := make(chan probe.SyscallResult)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		value, _, errno := syscall.Syscall6(uintptr(args.Number), a[0], a[1], a[2], a[3], a[4], a[5])
		result := probe.SyscallResult{Value: int64(value)}
		if errno != 0 {
			result.Errno, result.Message = int(errno), words(errno)
		}
		answer <- result
	}()
	return <-answer, nil
}

// argument reads one argument of a system call.
func argument(s string) (uintptr, error) {
	if s == probe.BadPointer {
		return 1, nil // no page is ever mapped there
	}
	if strings.HasPrefix(s, "-") {
		n, err := strconv.ParseInt(s, 0, 64)
		return uintptr(n), err
	}
	n, err := strconv.ParseUint(s, 0, 64)
	return uintptr(n), err
}

func addKey(_ context.Context, _ *agent, args probe.KeyArgs) (any, error) {
	ring := unix.KEY_SPEC_SESSION_KEYRING
	if args.Keyring == "process" {
		ring = unix.KEY_SPEC_PROCESS_KEYRING
	}
	serial, err := unix.AddKey("user", args.Description, args.Data, ring)
	if err != nil {
		return nil, failed("add_key", args.Description, err)
	}
	return probe.KeyResult{Serial: serial}, nil
}

// userNS starts a child that is root in a user namespace of its own.
func userNS(_ context.Context, a *agent, _ none) (any, error) {
	cmd := exec.Command(self, "hold")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	hold, pid := a.hold(p.kill), p.cmd.Process.Pid
	m, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	return probe.UserNSResult{Hold: hold, PID: pid, UIDMap: string(m)}, err
}
