package main

import "syscall"

// cloneWaiter makes a child that only waits. It gives the child's pid, or the
// error's number, negative.
func cloneWaiter() int

// forkWaiter makes a child that only waits, a process of its own that shares this
// one's memory: copying that for each of hundreds takes most of a second.
func forkWaiter() (int, syscall.Errno) {
	pid := cloneWaiter()
	if pid < 0 {
		return 0, syscall.Errno(-pid)
	}
	return pid, 0
}
