package probe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"road/internal/probe"
)

var program string // the built probe

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "road-probe-test")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "road-probe")
	if out, err := exec.Command("go", "build", "-o", program, "road/cmd/road-probe").CombinedOutput(); err != nil {
		panic(string(out))
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// stream is a process as a client sees it.
type stream struct {
	io.Reader
	io.WriteCloser
	cmd *exec.Cmd
}

// run starts a program and ends it with the test.
func run(t *testing.T, argv ...string) *stream {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
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
	return &stream{out, in, cmd}
}

// newClient starts a real probe on this host.
func newClient(t *testing.T) (*probe.Client, *stream) {
	t.Helper()
	s := run(t, program)
	c, err := probe.NewClient(s)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestClientHello(t *testing.T) {
	c, s := newClient(t)
	want := probe.Hello{Road: probe.Version, PID: s.cmd.Process.Pid, UID: os.Getuid(), GID: os.Getgid()}
	if c.Hello() != want {
		t.Errorf("got %+v, want %+v", c.Hello(), want)
	}
}

func TestNewClientNotAProbe(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"true"}, "the probe ended before its first word: unexpected EOF"},
		{[]string{"echo", "hello"}, `not the first word of a probe of version 1: "hello\n"`},
		{[]string{"echo", `{"road":99}`}, `not the first word of a probe of version 1: "{\"road\":99}\n"`},
	} {
		if _, err := probe.NewClient(run(t, c.argv...)); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.argv, err, c.want)
		}
	}
}

// What blocks holds nobody up, and every reply finds its request.
func TestClientConcurrent(t *testing.T) {
	c, _ := newClient(t)
	dir := t.TempDir()
	slow := make(chan error, 1)
	go func() {
		var result probe.ExecResult
		err := c.Do(t.Context(), probe.Exec, probe.ExecArgs{
			Argv: []string{"sh", "-c", "while ! test -e " + dir + "/go; do sleep 0.01; done; echo done"},
		}, &result)
		if err == nil && result.Output != "done\n" {
			err = errors.New(result.Output)
		}
		slow <- err
	}()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			name := filepath.Join(dir, strings.Repeat("x", i+1))
			if err := c.Do(t.Context(), probe.Write, probe.WriteArgs{Path: name, Data: []byte(name)}, nil); err != nil {
				t.Error(err)
			}
			var result probe.ReadResult
			if err := c.Do(t.Context(), probe.Read, probe.ReadArgs{Path: name}, &result); err != nil || string(result.Data) != name {
				t.Errorf("%s holds %q, %v", name, result.Data, err)
			}
		})
	}
	wg.Wait()
	if err := c.Do(t.Context(), probe.Write, probe.WriteArgs{Path: dir + "/go"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

func TestClientErrors(t *testing.T) {
	c, _ := newClient(t)
	err := c.Do(t.Context(), probe.Read, probe.ReadArgs{Path: "/nowhere"}, nil)
	var answer *probe.Error
	if !errors.As(err, &answer) || *answer != (probe.Error{Op: "open", Path: "/nowhere", Errno: 2, Message: "No such file or directory"}) {
		t.Errorf("got %#v", err)
	}
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v does not say that the file does not exist", err)
	}
	for _, bad := range []struct {
		verb string
		args any
		want string
	}{
		{"dance", nil, "dance: no such verb"},
		{probe.Read, map[string]any{"paht": "/"}, `read: arguments: json: unknown field "paht"`},
		{probe.Release, probe.Held{Hold: 7}, "release: no hold 7"},
	} {
		if err := c.Do(t.Context(), bad.verb, bad.args, nil); err == nil || err.Error() != bad.want {
			t.Errorf("%s: got %v, want %s", bad.verb, err, bad.want)
		}
	}
}

// A request that is given up returns at once, what it started ends, and the
// client goes on.
func TestClientCancel(t *testing.T) {
	c, _ := newClient(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- c.Do(ctx, probe.Exec, probe.ExecArgs{Argv: []string{"sh", "-c", "echo $$ > " + pidFile + "; exec sleep 60"}, Timeout: 60000}, nil)
	}()
	pid := waitFor(t, func() (string, bool) {
		b, err := os.ReadFile(pidFile)
		return strings.TrimSpace(string(b)), err == nil && len(b) > 0
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	waitFor(t, func() (string, bool) {
		_, err := os.Stat("/proc/" + pid)
		return "", err != nil
	})
	if err := c.Do(t.Context(), probe.Status, nil, new(string)); err != nil {
		t.Error(err)
	}
}

// When the probe is killed, whoever waits hears of it, and whoever asks later.
func TestClientEnded(t *testing.T) {
	c, s := newClient(t)
	ended := make(chan error)
	go func() {
		ended <- c.Do(t.Context(), probe.Exec, probe.ExecArgs{Argv: []string{"sleep", "60"}, Timeout: 60000}, nil)
	}()
	pid := waitFor(t, func() (string, bool) {
		all := children(s.cmd.Process.Pid)
		return strings.Join(all, " "), len(all) == 1
	})
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, probe.ErrEnded) {
		t.Errorf("got %v, want %v", err, probe.ErrEnded)
	}
	if err := c.Do(t.Context(), probe.Status, nil, nil); !errors.Is(err, probe.ErrEnded) {
		t.Errorf("afterwards: got %v, want %v", err, probe.ErrEnded)
	}
	waitFor(t, func() (string, bool) { // nothing that it started outlives it
		b, err := os.ReadFile("/proc/" + pid + "/cmdline")
		return "", err != nil || !strings.HasPrefix(string(b), "sleep")
	})
}

// children gives the processes that the threads of pid started.
func children(pid int) []string {
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is right
	var all []string
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err == nil { // else the thread has ended
			all = append(all, strings.Fields(string(b))...)
		}
	}
	return all
}

// waitFor asks until it is so, at most five seconds.
func waitFor(t *testing.T, is func() (string, bool)) string {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s, ok := is(); ok {
			return s
		}
	}
	t.Fatal("it does not come to that")
	return ""
}
