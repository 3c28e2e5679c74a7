package audit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"road/internal/sandbox/sandboxtest"

	"golang.org/x/sys/unix"
)

const line = `audit(1700000000.123:456): auid=0 uid=1000 gid=1000 ses=77 subj=unconfined pid=7 comm="redis-server" exe="/usr/bin/redis-server" sig=0 arch=c000003e syscall=231 compat=0 ip=0x7f code=0x7ffc0000` + "\x00"

func TestParse(t *testing.T) {
	got, ok := parse([]byte(line))
	want := record{serial: 456, session: 77, call: Call{unix.AUDIT_ARCH_X86_64, 231}, action: unix.SECCOMP_RET_LOG}
	if !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	// A process that is called after a field is written in hexadecimal.
	hex := strings.Replace(line, `"redis-server"`, "7320736573d39", 1)
	if got, _ := parse([]byte(hex)); got.session != 77 {
		t.Errorf("session %d", got.session)
	}
	for _, bad := range []string{"", "audit(1.2", "audit(1.2:x): ses=1", "hello"} {
		if r, ok := parse([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}

// logAt gives a Log that has begun at a serial number.
func logAt(serial uint64) *Log {
	l := &Log{names: map[uint32]string{77: "web"}, calls: map[string]map[Call]bool{}, ahead: map[uint64]bool{}}
	l.from, l.next = serial, serial+1
	return l
}

func call(serial uint64, session uint32, number int) record {
	return record{true, serial, session, Call{unix.AUDIT_ARCH_X86_64, number}, unix.SECCOMP_RET_LOG}
}

func TestGaps(t *testing.T) {
	for _, c := range []struct {
		serials []uint64
		whole   bool
	}{
		{[]uint64{11, 12, 13, 14}, true},
		{[]uint64{13, 11, 14, 12}, true},     // out of order
		{[]uint64{11, 11, 12, 13, 14}, true}, // several records of one event
		{[]uint64{11, 13, 14}, false},
		{[]uint64{12, 13, 14}, false},
	} {
		l := logAt(10)
		for _, s := range c.serials {
			l.add(call(s, 1, 2))
		}
		if whole := !l.behind(14); whole != c.whole {
			t.Errorf("%v: whole %v", c.serials, whole)
		}
	}
}

// TestOnlyOwnSessions has the calls of others, refused calls and other records
// count for nobody.
func TestOnlyOwnSessions(t *testing.T) {
	l := logAt(10)
	l.add(call(11, 77, 1))
	l.add(call(12, 78, 2))
	refused := call(13, 77, 3)
	refused.action = unix.SECCOMP_RET_ERRNO | 1
	l.add(refused)
	other := call(14, 77, 4)
	other.seccomp = false
	l.add(other)
	if got := l.calls["web"]; len(l.calls) != 1 || len(got) != 1 || !got[Call{unix.AUDIT_ARCH_X86_64, 1}] {
		t.Errorf("%v", l.calls)
	}
}

func TestNames(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("numbers of amd64")
	}
	of := func(n ...int) (calls []Call) {
		for _, n := range n {
			calls = append(calls, Call{unix.AUDIT_ARCH_X86_64, n})
		}
		return calls
	}
	got, err := Names(of(unix.SYS_WRITE, unix.SYS_CLONE3, unix.SYS_READ, unix.SYS_NEWFSTATAT, unix.SYS_READ))
	if err != nil || !slices.Equal(got, []string{"clone3", "newfstatat", "read", "write"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range [][]Call{of(100000), of(unix.SYS_READ | 0x40000000), {{unix.AUDIT_ARCH_I386, 3}}} {
		if got, err := Names(bad); err == nil {
			t.Errorf("%v: %v", bad, got)
		}
	}
	if n := len(Known()); n < 350 || !Known()["memfd_create"] {
		t.Errorf("%d known", n)
	}
}

// begin begins a Log in this process's own network namespace.
func begin(t *testing.T) *Log {
	l, err := Begin(t.Context(), func(f func() error) error { return f() })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// inSession runs f on a thread with a session of its own.
func inSession(t *testing.T, f func(session uint32) error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		session, err := Mark()
		if err == nil {
			err = f(session)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestSandboxLog logs one call of a session, among those of a program of the
// same number that nobody asked for.
func TestSandboxLog(t *testing.T) {
	sandboxtest.Need(t)
	l := begin(t)
	inSession(t, func(session uint32) error {
		l.Own(session, "web")
		return logOne()
	})
	inSession(t, func(uint32) error { return logOne() })
	calls, err := l.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names, err := Names(calls["web"])
	if err != nil || len(calls) != 1 || !slices.Equal(names, []string{"getppid"}) {
		t.Errorf("%v, %v", names, err)
	}
}

// TestSandboxSessionGoesOn has a child carry its parent's session.
func TestSandboxSessionGoesOn(t *testing.T) {
	sandboxtest.Need(t)
	inSession(t, func(session uint32) error {
		b, err := exec.Command("cat", "/proc/self/sessionid").Output()
		if err == nil && string(b) != fmt.Sprint(session) {
			err = fmt.Errorf("the child has session %s, not %d", b, session)
		}
		return err
	})
	if b, err := os.ReadFile("/proc/self/sessionid"); err != nil || string(b) == "" {
		t.Error(string(b), err)
	}
}

// TestSandboxLossIsFound overruns the receive buffer.
func TestSandboxLossIsFound(t *testing.T) {
	sandboxtest.Need(t)
	l := begin(t)
	raw, err := l.f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1) })
	l.mu.Lock() // nothing is taken meanwhile
	inSession(t, func(uint32) error {
		if err := logOne(); err != nil {
			return err
		}
		for range 1000 {
			unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
		}
		return nil
	})
	time.Sleep(100 * time.Millisecond)
	l.mu.Unlock()
	if calls, err := l.End(context.Background()); err == nil {
		t.Errorf("nothing was lost: %v", calls)
	} else {
		t.Log(err)
	}
}
