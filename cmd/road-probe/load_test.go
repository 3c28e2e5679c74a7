package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"road/internal/probe"
)

// startAgent starts the built probe, whose children are its own program.
func startAgent(t *testing.T) *probe.Client {
	t.Helper()
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	c, err := probe.NewClient(struct {
		io.Reader
		io.WriteCloser
	}{out, in})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// children gives the processes that pid started.
func children(t *testing.T, pid int) []int {
	t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(b)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, child)
		}
	}
	return pids
}

// anonymous gives the anonymous memory of a process in bytes, as the host counts it.
func anonymous(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

func TestAlloc(t *testing.T) {
	c := startAgent(t)
	var held probe.Held
	const size = 64 << 20
	if err := c.Do(t.Context(), probe.Alloc, probe.AllocArgs{Bytes: size}, &held); err != nil {
		t.Fatal(err)
	}
	pids := children(t, c.Hello().PID)
	if len(pids) != 1 {
		t.Fatalf("children: %v", pids)
	}
	if got := anonymous(t, pids[0]); got < size {
		t.Errorf("the host counts %d bytes, want %d", got, size)
	}
	if err := c.Do(t.Context(), probe.Release, held, nil); err != nil {
		t.Fatal(err)
	}
	if pids := children(t, c.Hello().PID); len(pids) != 0 {
		t.Errorf("still there: %v", pids)
	}
	// What the kernel refuses does not end the agent.
	err := c.Do(t.Context(), probe.Alloc, probe.AllocArgs{Bytes: 1 << 60}, nil)
	if want := "alloc: mmap: cannot allocate memory; exit status 1"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A child that is killed, as the kernel does at a memory limit, is told as such.
// One that had all its memory before it was found is tried again.
func TestAllocKilled(t *testing.T) {
	c := startAgent(t)
	for range 10 {
		var held probe.Held
		failed := make(chan error, 1)
		go func() { failed <- c.Do(t.Context(), probe.Alloc, probe.AllocArgs{Bytes: 2 << 30}, &held) }()
		var pids []int
		for len(pids) == 0 {
			pids = children(t, c.Hello().PID)
		}
		killed := syscall.Kill(pids[0], syscall.SIGKILL)
		if killed != nil && killed != syscall.ESRCH {
			t.Fatal(killed)
		}
		err := <-failed
		if killed != nil {
			t.Log("it had ended before: ", err)
			continue
		}
		if err == nil {
			if err := c.Do(t.Context(), probe.Release, held, nil); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err.Error() != "alloc: signal: killed" {
			t.Errorf("got %v", err)
		}
		return
	}
	t.Error("never found in time")
}

func TestSpin(t *testing.T) {
	c := startAgent(t)
	// A tenth of a second, of 0.4 on an idle machine; a busy one takes more tries.
	for try := 1; ; try++ {
		var held probe.Held
		if err := c.Do(t.Context(), probe.Spin, probe.SpinArgs{Processes: 2, Millis: 60000}, &held); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		if err := c.Do(t.Context(), probe.Release, held, nil); err != nil {
			t.Fatal(err)
		}
		var usage probe.ReadResult // 16th and 17th: clock ticks of children that have ended
		if err := c.Do(t.Context(), probe.Read, probe.ReadArgs{Path: "/proc/self/stat"}, &usage); err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(usage.Data), ") ")
		user, err := strconv.Atoi(strings.Fields(rest)[13])
		if err == nil && user >= 10 {
			break
		}
		if err != nil || try == 20 {
			t.Fatalf("the children used %d ticks in %d tries, %v: %s", user, try, err, rest)
		}
	}
	if err := c.Do(t.Context(), probe.Spin, probe.SpinArgs{Processes: 1}, nil); err == nil {
		t.Error("no time is no load")
	}
}

func TestFork(t *testing.T) {
	c := startAgent(t)
	var result probe.ForkResult
	if err := c.Do(t.Context(), probe.Fork, probe.ForkArgs{Count: 200}, &result); err != nil {
		t.Fatal(err)
	}
	if n := len(children(t, c.Hello().PID)); n != 200 || result.Count != 200 || result.Refused != "" {
		t.Errorf("the host counts %d, the probe says %+v", n, result)
	}
	if err := c.Do(t.Context(), probe.Release, probe.Held{Hold: result.Hold}, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(children(t, c.Hello().PID)); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// The processes of a probe that is killed die with it.
func TestForkDiesWithTheProbe(t *testing.T) {
	c := startAgent(t)
	if err := c.Do(t.Context(), probe.Fork, probe.ForkArgs{Count: 3}, new(probe.ForkResult)); err != nil {
		t.Fatal(err)
	}
	pids := children(t, c.Hello().PID)
	if len(pids) != 3 {
		t.Fatalf("children: %v", pids)
	}
	c.Close()
	for _, pid := range pids {
		gone(t, fmt.Sprintf("/proc/%d/exe", pid))
	}
}

func TestUserNS(t *testing.T) {
	c := startAgent(t)
	var got probe.UserNSResult
	if err := c.Do(t.Context(), probe.UserNS, nil, &got); err != nil {
		t.Skip("this host refuses user namespaces: ", err)
	}
	if f := strings.Fields(got.UIDMap); len(f) != 3 || f[0] != "0" || f[1] != strconv.Itoa(os.Getuid()) || f[2] != "1" {
		t.Errorf("uid map %q", got.UIDMap)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/user", got.PID))
	if err != nil {
		t.Fatal(err)
	}
	if ours, err := os.Readlink("/proc/self/ns/user"); err != nil || ours == theirs {
		t.Errorf("the child is in our own namespace: %s, %v", ours, err)
	}
}

// TestExecOfABusyFile has a program start that somebody still holds open for
// writing, once he lets go.
func TestExecOfABusyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "busy")
	b, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { f.Close() })
	var result probe.ExecResult
	if err := startAgent(t).Do(t.Context(), probe.Exec, probe.ExecArgs{Argv: []string{name}}, &result); err != nil || result.PID == 0 || result.Status != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}
