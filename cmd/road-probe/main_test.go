package main

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

var program string // the probe as "go build ./cmd/..." makes it

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "road-probe-test")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "road-probe")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=1") // what a machine with a C compiler does by itself
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// The probe must start in an image that holds nothing, and fast.
func TestProgramIsStaticAndSmall(t *testing.T) {
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it has a segment %v: something brings in the C library", p.Type)
		}
	}
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if limit := int64(5 << 20); info.Size() > limit {
		t.Errorf("it has %d bytes, more than %d", info.Size(), limit)
	}
}

// ask does one thing in an agent of its own process, through the table of verbs.
type agentUnderTest struct {
	*testing.T
	a *agent
}

func newAgentUnderTest(t *testing.T) agentUnderTest {
	a := newAgent(nil)
	t.Cleanup(a.close)
	return agentUnderTest{t, a}
}

// try does one thing and brings its result through JSON, as the line does.
func (t agentUnderTest) try(verb string, args, into any) error {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	if args == nil {
		raw = nil
	}
	result, err := verbs[verb](t.Context(), t.a, raw)
	if err != nil {
		return asError(verb, err)
	}
	if into == nil {
		return nil
	}
	b, err := json.Marshal(result)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
	return nil
}

// do is try for what must work.
func (t agentUnderTest) do(verb string, args, into any) {
	t.Helper()
	if err := t.try(verb, args, into); err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
}

// refused is try for what the kernel must refuse.
func (t agentUnderTest) refused(verb string, args any, errno syscall.Errno) {
	t.Helper()
	if err := t.try(verb, args, nil); !errors.Is(err, errno) {
		t.Errorf("%s %v: got %v, want %v", verb, args, err, errno)
	}
}

func TestFiles(t *testing.T) {
	p := newAgentUnderTest(t)
	dir := t.TempDir()
	a, b := dir+"/a", dir+"/b"
	p.do(probe.Write, probe.WriteArgs{Path: a, Data: []byte("one"), Mode: 0o4755}, nil)
	p.do(probe.Write, probe.WriteArgs{Path: a, Data: []byte("two"), Append: true}, nil)
	var content probe.ReadResult
	p.do(probe.Read, probe.ReadArgs{Path: a, Limit: 4}, &content)
	if string(content.Data) != "onet" {
		t.Errorf("read %q", content.Data)
	}
	p.do(probe.Rename, probe.FromTo{From: a, To: b}, nil)
	p.do(probe.Chmod, probe.ModeArgs{Path: b, Mode: 0o4711}, nil)
	p.do(probe.Symlink, probe.FromTo{From: "b", To: a}, nil)
	p.do(probe.Mkdir, probe.ModeArgs{Path: dir + "/d", Mode: 0o1777}, nil)
	p.do(probe.Mknod, probe.MknodArgs{Path: dir + "/fifo", Kind: "fifo"}, nil)
	var names []string
	p.do(probe.ReadDir, probe.Path{Path: dir}, &names)
	if want := []string{"a", "b", "d", "fifo"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	p.do(probe.Writable, probe.Path{Path: dir}, &names)
	if want := []string{dir, dir + "/d"}; !slices.Equal(names, want) {
		t.Errorf("writable directories %q, want %q", names, want)
	}
	for name, want := range map[string]probe.StatResult{
		"a":    {Type: "link", Mode: 0o777, Size: 1},
		"b":    {Type: "file", Mode: 0o4711, Size: 6},
		"d":    {Type: "dir", Mode: 0o1777},
		"fifo": {Type: "fifo", Mode: 0o600},
	} {
		want.UID, want.GID = os.Getuid(), os.Getgid()
		var got probe.StatResult
		p.do(probe.Stat, probe.Path{Path: dir + "/" + name}, &got)
		if want.Type == "dir" {
			got.Size = 0
		}
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	p.do(probe.Remove, probe.Path{Path: a}, nil)
	p.do(probe.Remove, probe.Path{Path: dir + "/d"}, nil)
	p.refused(probe.Stat, probe.Path{Path: a}, syscall.ENOENT)
	p.refused(probe.Rename, probe.FromTo{From: b, To: "/proc/x"}, syscall.EXDEV)
	p.refused(probe.Write, probe.WriteArgs{Path: dir}, syscall.EISDIR)
	p.refused(probe.Mknod, probe.MknodArgs{Path: dir + "/x", Kind: "door"}, syscall.EINVAL)
	p.refused(probe.Mount, probe.MountArgs{Target: dir + "/nowhere", FSType: "tmpfs"}, syscall.ENOENT)
}

// A copy of the probe's own program is a tool that runs wherever it lands.
func TestWriteSelf(t *testing.T) {
	dir := t.TempDir()
	planted := dir + "/tool"
	if out, err := exec.Command(program, probe.Write, fmt.Sprintf(`{"path":%q,"self":true,"mode":493}`, planted)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(planted, probe.Stat, fmt.Sprintf(`{"path":%q}`, planted)).CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"mode": 493`) {
		t.Errorf("got %s, %v", out, err)
	}
	out, err = exec.Command(planted, probe.Read, `{"path":"/nowhere"}`).CombinedOutput()
	if want := "open /nowhere: No such file or directory\n"; string(out) != want || err == nil || err.Error() != "exit status 1" {
		t.Errorf("got %q, %v, want %q", out, err, want)
	}
	if out, err := exec.Command(planted, "dance").CombinedOutput(); err == nil || err.Error() != "exit status 2" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestExec(t *testing.T) {
	p := newAgentUnderTest(t)
	for _, c := range []struct {
		args probe.ExecArgs
		want probe.ExecResult
	}{
		{probe.ExecArgs{Argv: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, probe.ExecResult{Output: "out\nerr\n", Status: 3}},
		{probe.ExecArgs{Argv: []string{"cat"}, Stdin: []byte("in")}, probe.ExecResult{Output: "in"}},
		{probe.ExecArgs{Argv: []string{"/bin/sh", "-c", "echo $A"}, Env: []string{"A=b"}}, probe.ExecResult{Output: "b\n"}},
		{probe.ExecArgs{Argv: []string{"pwd"}, Dir: "/usr"}, probe.ExecResult{Output: "/usr\n"}},
		{probe.ExecArgs{Argv: []string{"sh", "-c", "kill -9 $$"}}, probe.ExecResult{Status: 137}},
		{probe.ExecArgs{Argv: []string{"sh", "-c", "echo a; sleep 60"}, Timeout: 200}, probe.ExecResult{Output: "a\n", Status: 137, TimedOut: true}},
		{probe.ExecArgs{Argv: []string{"sh", "-c", "sleep 60 & echo a"}, Timeout: 5000}, probe.ExecResult{Output: "a\n"}},
	} {
		var got probe.ExecResult
		p.do(probe.Exec, c.args, &got)
		c.want.PID = got.PID
		if got != c.want {
			t.Errorf("%q: got %+v, want %+v", c.args.Argv, got, c.want)
		}
	}
	p.refused(probe.Exec, probe.ExecArgs{Argv: []string{"no-such-program"}}, syscall.ENOENT)
	p.refused(probe.Exec, probe.ExecArgs{Argv: []string{"/etc/passwd"}}, syscall.EACCES)
}

func TestExecFromMemory(t *testing.T) {
	p := newAgentUnderTest(t)
	image, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var got probe.ExecResult
	p.do(probe.Exec, probe.ExecArgs{Argv: []string{"harmless", "hold"}, Memory: true, Program: image, Background: true}, &got)
	exe := fmt.Sprintf("/proc/%d/exe", got.PID)
	if target, err := os.Readlink(exe); err != nil || target != "/memfd:road (deleted)" {
		t.Errorf("it runs from %q, %v", target, err)
	}
	p.do(probe.Kill, probe.KillArgs{PID: got.PID}, nil)
	gone(t, exe)
	p.refused(probe.Kill, probe.KillArgs{PID: -1}, syscall.EINVAL)
}

// What runs in the background ends with the agent.
func TestExecBackground(t *testing.T) {
	p := newAgentUnderTest(t)
	var got probe.ExecResult
	p.do(probe.Exec, probe.ExecArgs{Argv: []string{"sleep", "60"}, Background: true}, &got)
	exe := fmt.Sprintf("/proc/%d/exe", got.PID)
	if _, err := os.Readlink(exe); err != nil {
		t.Fatal(err)
	}
	p.a.close()
	gone(t, exe)
}

func TestExecAsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	p := newAgentUnderTest(t)
	uid, gid := 1234, 4444
	for args, want := range map[*probe.ExecArgs]string{
		{UID: &uid}:            "1234:1234\n",
		{UID: &uid, GID: &gid}: "1234:4444\n",
		{GID: &gid}:            "0:4444\n",
	} {
		args.Argv = []string{"sh", "-c", "echo $(id -u):$(id -g)"}
		var got probe.ExecResult
		p.do(probe.Exec, args, &got)
		if got.Output != want {
			t.Errorf("got %q, want %q", got.Output, want)
		}
	}
}

func TestDial(t *testing.T) {
	p := newAgentUnderTest(t)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { // answers what it is asked, and goes at a full stop
				buf := make([]byte, 100)
				n, _ := c.Read(buf)
				c.Write(buf[:n])
				if strings.HasSuffix(string(buf[:n]), ".") {
					c.Close()
				}
			}()
		}
	}()
	addr := echo.Addr().String()
	for _, c := range []struct {
		args     probe.DialArgs
		data     string
		timedOut bool
	}{
		{probe.DialArgs{Addr: addr}, "", false},
		{probe.DialArgs{Addr: addr, Send: []byte("hello"), Expect: 5}, "hello", false},
		{probe.DialArgs{Addr: addr, Send: []byte("hello."), Expect: -1}, "hello.", false},
		{probe.DialArgs{Addr: addr, Send: []byte("hello"), Expect: -1, Timeout: 200}, "hello", true},
	} {
		var got probe.DialResult
		p.do(probe.Dial, c.args, &got)
		if string(got.Data) != c.data || got.TimedOut != c.timedOut || !strings.HasPrefix(got.Local, "127.0.0.1:") {
			t.Errorf("%+v: got %q %v from %s", c.args, got.Data, got.TimedOut, got.Local)
		}
	}
	echo.Close()
	p.refused(probe.Dial, probe.DialArgs{Addr: addr}, syscall.ECONNREFUSED)
	if err := p.try(probe.Dial, probe.DialArgs{Addr: "redis:6379"}, nil); err == nil {
		t.Error("a name is no address")
	}
}

// TestPivot speaks through the probe: several words on one connection, which
// Release ends also for one who waits.
func TestPivot(t *testing.T) {
	p := newAgentUnderTest(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer := make(chan net.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			peer <- c
		}
	}()
	var o probe.OpenResult
	p.do(probe.Open, probe.OpenArgs{Addr: l.Addr().String()}, &o)
	c := <-peer
	defer c.Close()
	for _, word := range []string{"one", "two"} {
		p.do(probe.Send, probe.SendArgs{Hold: o.Hold, Data: []byte(word)}, nil)
		buf := make([]byte, 10)
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != word || c.RemoteAddr().String() != o.Local {
			t.Errorf("%q from %s, %v", buf[:n], c.RemoteAddr(), err)
		}
		c.Write([]byte(word))
		var r probe.ReceiveResult
		if p.do(probe.Receive, probe.ReceiveArgs{Hold: o.Hold}, &r); string(r.Data) != word || r.End {
			t.Errorf("%+v", r)
		}
	}
	p.refused(probe.Receive, probe.ReceiveArgs{Hold: o.Hold, Timeout: 50}, syscall.ETIMEDOUT)
	c.(*net.TCPConn).CloseWrite()
	var r probe.ReceiveResult
	if p.do(probe.Receive, probe.ReceiveArgs{Hold: o.Hold}, &r); !r.End {
		t.Errorf("%+v after its end", r)
	}
	p.do(probe.Release, probe.Held{Hold: o.Hold}, nil)
	if err := p.try(probe.Send, probe.SendArgs{Hold: o.Hold, Data: []byte("late")}, nil); err == nil {
		t.Error("a connection that was released still takes words")
	}
}

func TestListen(t *testing.T) {
	p := newAgentUnderTest(t)
	for _, network := range []string{"tcp", "udp"} {
		var at probe.ListenResult
		p.do(probe.Listen, probe.ListenArgs{Network: network, Addr: "127.0.0.1:0", Send: []byte("hi")}, &at)
		for range 2 {
			var got probe.DialResult
			p.do(probe.Dial, probe.DialArgs{Network: network, Addr: at.Addr, Send: []byte("?"), Expect: 2}, &got)
			if string(got.Data) != "hi" {
				t.Errorf("%s: got %q", network, got.Data)
			}
		}
		if network == "tcp" {
			p.refused(probe.Listen, probe.ListenArgs{Network: network, Addr: at.Addr}, syscall.EADDRINUSE)
		}
		p.do(probe.Release, probe.Held{Hold: at.Hold}, nil)
		p.refused(probe.Dial, probe.DialArgs{Network: network, Addr: at.Addr, Send: []byte("?"), Expect: 2}, syscall.ECONNREFUSED)
	}
}

// A forged source arrives as it was written.
func TestRawSend(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("raw sockets are root's")
	}
	p := newAgentUnderTest(t)
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p.do(probe.RawSend, probe.RawArgs{Source: "127.9.9.9:53", Dest: c.LocalAddr().String(), Data: []byte("forged")}, nil)
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 100)
	n, from, err := c.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "forged" || from.String() != "127.9.9.9:53" {
		t.Errorf("got %q from %v, %v", buf[:n], from, err)
	}
}

func TestKernel(t *testing.T) {
	p := newAgentUnderTest(t)
	p.do(probe.Socket, probe.SocketArgs{Family: unix.AF_UNIX, Type: unix.SOCK_STREAM}, nil)
	p.refused(probe.Socket, probe.SocketArgs{Family: 9999, Type: unix.SOCK_STREAM}, syscall.EAFNOSUPPORT)
	for _, c := range []struct {
		args  probe.SyscallArgs
		errno syscall.Errno
	}{
		{probe.SyscallArgs{Number: unix.SYS_UNSHARE, Args: []string{"1"}}, syscall.EINVAL},
		{probe.SyscallArgs{Number: unix.SYS_SETNS, Args: []string{"-1"}}, syscall.EBADF},
		{probe.SyscallArgs{Number: unix.SYS_MOUNT, Args: []string{"badptr", "badptr", "badptr", "0", "0"}}, syscall.EFAULT},
		{probe.SyscallArgs{Number: unix.SYS_GETPID}, 0},
	} {
		var got probe.SyscallResult
		p.do(probe.Syscall, c.args, &got)
		if syscall.Errno(got.Errno) != c.errno || c.errno == 0 && got.Value != int64(os.Getpid()) {
			t.Errorf("%+v: got %+v, want %v", c.args, got, c.errno)
		}
	}
	if err := p.try(probe.Syscall, probe.SyscallArgs{Args: []string{"ten"}}, nil); err == nil {
		t.Error("ten is no number")
	}
	var key probe.KeyResult
	if err := p.try(probe.AddKey, probe.KeyArgs{Keyring: "process", Description: "road-test", Data: []byte("x")}, &key); err != nil {
		t.Skip("no keys on this host: ", err)
	}
	if b, err := os.ReadFile("/proc/keys"); err != nil || !strings.Contains(string(b), fmt.Sprintf("%08x", key.Serial)) {
		t.Errorf("key %08x is not in /proc/keys (%v)", key.Serial, err)
	}
}

// gone waits until the process behind /proc/PID/exe has ended.
func gone(t *testing.T, exe string) {
	t.Helper()
	for range 500 {
		if _, err := os.Readlink(exe); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s is still there", exe)
}
