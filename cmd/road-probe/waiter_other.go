//go:build !amd64

package main

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// forkWaiter makes a child that only waits. Between the fork and its end the
// child makes nothing but raw system calls: it has no Go runtime.
//
//go:norace
//go:nosplit
func forkWaiter() (int, syscall.Errno) {
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return int(pid), errno
	}
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	for {
		syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}
