package audit

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mark begins a new audit session on the calling thread, as a login would, and
// gives its number. The goroutine must be locked to the thread and must never
// be unlocked, since the mark cannot be taken off again.
func Mark() (session uint32, err error) {
	if err := os.WriteFile("/proc/thread-self/loginuid", []byte("0"), 0); err != nil {
		return 0, fmt.Errorf("begin an audit session: %w", err)
	}
	b, err := os.ReadFile("/proc/thread-self/sessionid")
	if err != nil {
		return 0, fmt.Errorf("begin an audit session: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil || uint32(n) == ^uint32(0) {
		return 0, fmt.Errorf("begin an audit session: the kernel gave none (%q)", b)
	}
	return uint32(n), nil
}

// makeRecord has a thread of its own make one logged system call, in a session
// that ready is told before.
func makeRecord(ready func(session uint32)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, with its filter, ends with this goroutine
		session, err := Mark()
		if err == nil {
			ready(session)
			err = logOne()
		}
		done <- err
	}()
	return <-done
}

// logOne puts the calling thread under a filter that logs getppid and nothing
// else, and calls it.
func logOne() error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_GETPPID, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_LOG},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0); err != nil {
		return fmt.Errorf("log a system call: %w", err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0); errno != 0 {
		return fmt.Errorf("getppid: %w", errno)
	}
	return nil
}
