package world

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"road/internal/sandbox/sandboxtest"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// view is what a worker sees of its world.
type view struct {
	ID       string
	PID      int
	HostPID  int
	Parent   string // state of PID 1's command
	Links    []string
	Modes    map[string]string
	HostSees string // the worker's arguments by HostPID in HostProc
	Args     []string
	Env      string // of the marker: must be gone
	Limits   string
}

func seen(w *World) view {
	v := view{ID: w.ID, PID: os.Getpid(), Args: os.Args, Env: os.Getenv(marker), Modes: map[string]string{}}
	v.HostPID, _ = w.HostPID(os.Getpid())
	links, _ := netlink.LinkList()
	for _, l := range links {
		v.Links = append(v.Links, l.Attrs().Name)
	}
	for _, d := range []string{w.Run, w.Disk, tmpfsDir} {
		if st, err := os.Stat(d); err == nil {
			v.Modes[d] = st.Mode().Perm().String()
		}
	}
	b, _ := os.ReadFile(fmt.Sprintf("%s/%d/cmdline", w.HostProc, v.HostPID))
	v.HostSees = strings.TrimRight(strings.ReplaceAll(string(b), "\x00", " "), " ")
	node, leave, err := w.NewNode("one", 2, 0)
	if err != nil {
		v.Limits = err.Error()
		return v
	}
	defer leave()
	for _, n := range []string{"pids" + node, node} {
		b, err := os.ReadFile(filepath.Join(cgroupRoot, n, "pids.max"))
		if err == nil {
			v.Limits = strings.TrimSpace(string(b))
		}
	}
	return v
}

// busy makes a mount, a namespace, a link, a cgroup with a process, a firewall
// table and files, says that it is ready, and waits for its end.
func busy(w *World) int {
	if err := makeMess(w); err != nil {
		fmt.Fprintln(os.Stderr, "busy:", err)
		return 1
	}
	l, err := w.ListenHost(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "busy:", err)
		return 1
	}
	worker, _ := w.HostPID(os.Getpid())
	w.Ready(map[string]any{"addr": l.Addr().String(), "worker": worker, "id": w.ID})
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		c.Write([]byte("hello\n"))
		c.Close()
	}
}

func makeMess(w *World) error {
	if err := unix.Mount("mess", w.Run, "tmpfs", 0, ""); err != nil {
		return err
	}
	fd, err := NewNetNS(w.Run + "/ns")
	if err != nil {
		return err
	}
	la := netlink.NewLinkAttrs()
	la.Name = "mess0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: la, PeerName: "eth0", PeerNamespace: netlink.NsFd(fd)}); err != nil {
		return err
	}
	if out, err := exec.Command("nft", "add table ip mess").CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %s", out)
	}
	if err := os.MkdirAll(w.Disk+"/pods/a/upper", 0o755); err != nil {
		return err
	}
	c := exec.Command("/bin/sleep", "1000")
	if err := c.Start(); err != nil {
		return err
	}
	for _, h := range []string{"memory", "pids", ""} {
		dir := filepath.Join(cgroupRoot, h, w.Node, "pod")
		if _, err := os.Stat(filepath.Dir(dir)); err != nil {
			continue
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(c.Process.Pid)), 0); err != nil {
			return err
		}
	}
	return nil
}

func playCommand(state, name string, env ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe", "an argument", "--flag")
	c.Env = append(os.Environ(), append(env, "ROAD_TEST_PLAY="+name, "ROAD_TEST_STATE="+state)...)
	return c
}

// startPlay runs this test program as a play.
func startPlay(t *testing.T, state, name string, env ...string) *theatre {
	t.Helper()
	c := playCommand(state, name, env...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &theatre{Cmd: c, out: bufio.NewReader(out)}
	c.Stderr = &p.err
	c.WaitDelay = 5 * time.Second                      // a world that outlives it has its files open
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal of the tester's
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		runs, _ := List(state)
		for _, r := range runs { // of a test that failed
			End(state, r.ID)
		}
	})
	return p
}

type theatre struct {
	*exec.Cmd
	out *bufio.Reader
	err bytes.Buffer
}

// line reads the next line of output.
func (p *theatre) line(t *testing.T) string {
	t.Helper()
	s, err := p.out.ReadString('\n')
	if err != nil {
		p.Wait()
		t.Fatalf("no output: %v; %s", err, p.err.String())
	}
	return strings.TrimSuffix(s, "\n")
}

// status waits for the end.
func (p *theatre) status(t *testing.T) int {
	t.Helper()
	p.Wait()
	if s := p.err.String(); s != "" {
		t.Logf("stderr: %s", s)
	}
	return p.ProcessState.ExitCode()
}

// ready reads what a busy worker says.
func (p *theatre) ready(t *testing.T) (r struct {
	Addr   string
	Worker int
	ID     string
}) {
	t.Helper()
	line, ok := strings.CutPrefix(p.line(t), "ready ")
	if !ok || json.Unmarshal([]byte(line), &r) != nil {
		t.Fatalf("said %q", line)
	}
	return r
}

// remains lists what is on the host of mounts, namespaces, cgroups, links and
// firewall tables.
func remains(t *testing.T) map[string]string {
	t.Helper()
	m := map[string]string{}
	for name, argv := range map[string][]string{
		"mounts": {"cat", "/proc/self/mountinfo"},
		"links":  {"ip", "-o", "link"},
		"routes": {"ip", "route", "show", "table", "all"},
		"nft":    {"nft", "list", "tables"},
	} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
		m[name] = string(out)
	}
	return m
}

// traces lists what a run of this name left: processes, cgroups, files.
func traces(t *testing.T, state, id string) []string {
	t.Helper()
	var found []string
	filepath.WalkDir(cgroupRoot, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == id {
			found = append(found, p)
		}
		return nil
	})
	names, _ := filepath.Glob(filepath.Join(state, "runs", "*"))
	found = append(found, names...)
	procs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, p := range procs {
		b, _ := os.ReadFile(p)
		if bytes.Contains(b, []byte(id)) {
			found = append(found, p)
		}
	}
	return found
}

func TestSandboxWorldHasItsOwnNamespaces(t *testing.T) {
	sandboxtest.Need(t)
	p := startPlay(t, t.TempDir(), "show")
	var v view
	if err := json.Unmarshal([]byte(p.line(t)), &v); err != nil {
		t.Fatal(err)
	}
	if st := p.status(t); st != 0 {
		t.Fatalf("status %d", st)
	}
	if len(v.Links) == 0 || v.Links[0] != "lo" || strings.Contains(fmt.Sprint(v.Links), "eth0") {
		t.Errorf("links %v: not a network of its own", v.Links)
	}
	want := map[string]string{"/dev/shm": "-rwx--x--x", "/dev/shm/run": "-rwx--x--x", "/dev/shm/disk": "-rwx--x--x"}
	if d := cmp.Diff(want, v.Modes); d != "" {
		t.Errorf("modes: %s", d)
	}
	if v.PID > 20 || v.HostPID < 1 || v.HostPID == v.PID {
		t.Errorf("process %d, %d on the host", v.PID, v.HostPID)
	}
	if want := strings.Join(v.Args, " "); v.HostSees != want || !strings.HasSuffix(want, "an argument --flag") {
		t.Errorf("the host sees %q, the worker has %q", v.HostSees, want)
	}
	if v.Env != "" {
		t.Errorf("the marker stays in the environment: %s", v.Env)
	}
	if v.Limits != "512" {
		t.Errorf("pids.max of a node is %q", v.Limits)
	}
}

// How the host mounts its state, and its umask, must not reach the pods.
func TestSandboxDiskHoldsNothingBack(t *testing.T) {
	sandboxtest.Need(t)
	state := t.TempDir()
	if err := unix.Mount("strict", state, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(state, unix.MNT_DETACH)
	defer unix.Umask(unix.Umask(0o077))
	p := startPlay(t, state, "disk")
	if got, want := strings.TrimSpace(p.line(t)), "<nil> held back: 0x0, umask 022"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if st := p.status(t); st != 0 {
		t.Errorf("status %d", st)
	}
}

func TestSandboxExitStatusPasses(t *testing.T) {
	sandboxtest.Need(t)
	state := t.TempDir()
	for _, want := range []int{0, 1, 3, 130} {
		p := startPlay(t, state, "exit", fmt.Sprint("ROAD_TEST_STATUS=", want))
		if got := p.status(t); got != want {
			t.Errorf("exit status %d, want %d", got, want)
		}
	}
	if got := startPlay(t, state, "killed").status(t); got != 137 {
		t.Errorf("killed: exit status %d, want 137", got)
	}
	if names, _ := filepath.Glob(state + "/runs/*"); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}

// SIGKILL of any of the three processes takes the world away, and Sweep what it
// cannot take with it.
func TestSandboxKilledWorldLeavesNothing(t *testing.T) {
	sandboxtest.Need(t, "nft", "ip")
	for _, victim := range []string{"supervisor", "init", "worker"} {
		t.Run(victim, func(t *testing.T) {
			state := t.TempDir()
			before := remains(t)
			p := startPlay(t, state, "busy")
			r := p.ready(t)
			runs, err := List(state)
			if err != nil || len(runs) != 1 || runs[0].ID != r.ID {
				t.Fatalf("runs %v, %v", runs, err)
			}
			if d := cmp.Diff(before, remains(t)); d != "" {
				t.Errorf("a living world changes the host: %s", d)
			}
			if len(traces(t, state, r.ID)) < 4 {
				t.Error("a living world has no traces: the test cannot see them")
			}
			pid := map[string]int{"supervisor": p.Process.Pid, "init": runs[0].PID, "worker": r.Worker}[victim]
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			p.Wait()
			if _, err := Sweep(state); err != nil {
				t.Fatal(err)
			}
			// A killed supervisor is gone before its world is.
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end) && len(traces(t, state, r.ID)) > 0; {
				time.Sleep(10 * time.Millisecond)
				Sweep(state)
			}
			if left := traces(t, state, r.ID); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			if d := cmp.Diff(before, remains(t)); d != "" {
				t.Errorf("the host has changed: %s", d)
			}
			if c, err := net.Dial("tcp", r.Addr); err == nil {
				c.Close()
				t.Error("the published port still answers")
			}
		})
	}
}

func TestSandboxTwoWorldsAtOnce(t *testing.T) {
	sandboxtest.Need(t, "nft", "ip")
	state := t.TempDir()
	a, b := startPlay(t, state, "busy"), startPlay(t, state, "busy")
	ra, rb := a.ready(t), b.ready(t)
	if n, err := Sweep(state); n != 0 || err != nil {
		t.Fatalf("swept %d living worlds, %v", n, err)
	}
	if err := End(state, ra.ID); err != nil {
		t.Fatal(err)
	}
	if st := a.status(t); st != 137 {
		t.Errorf("exit status %d of the one that was ended", st)
	}
	c, err := net.Dial("tcp", rb.Addr)
	if err != nil {
		t.Fatalf("the other world is gone too: %v", err)
	}
	c.Close()
	runs, err := List(state)
	if err != nil || len(runs) != 1 || runs[0].ID != rb.ID || runs[0].Detached {
		t.Errorf("runs %+v, %v", runs, err)
	}
	if err := End(state, rb.ID); err != nil {
		t.Fatal(err)
	}
	b.status(t)
	if left := append(traces(t, state, ra.ID), traces(t, state, rb.ID)...); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestSandboxSignals(t *testing.T) {
	sandboxtest.Need(t)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			p := startPlay(t, t.TempDir(), "patient")
			p.line(t)
			p.Process.Signal(sig)
			if got := p.line(t); got != "got "+sig.String()+" 1" {
				t.Errorf("the worker %s", got)
			}
			if st := p.status(t); st != 130 {
				t.Errorf("exit status %d, want the worker's own 130", st)
			}
		})
	}
	t.Run("second", func(t *testing.T) {
		p := startPlay(t, t.TempDir(), "stubborn")
		p.line(t)
		p.Process.Signal(unix.SIGINT)
		time.Sleep(100 * time.Millisecond)
		if err := p.Process.Signal(unix.Signal(0)); err != nil {
			t.Fatal("ended by the first")
		}
		p.Process.Signal(unix.SIGINT)
		if st := p.status(t); st != 130 {
			t.Errorf("exit status %d", st)
		}
	})
}

// On a terminal ^C goes to the supervisor and to the worker. The worker gets it
// once, and a second one ends a worker that does not care.
func TestSandboxInterruptFromTheTerminal(t *testing.T) {
	sandboxtest.Need(t)
	for _, test := range []struct {
		play, keys string
		status     int
		says       string
	}{
		{"patient", "\x03", 130, "got interrupt 1"},
		{"stubborn", "\x03\x03", 130, ""},
	} {
		t.Run(test.play, func(t *testing.T) {
			keyboard, tty := terminal(t)
			c := playCommand(t.TempDir(), test.play)
			c.Stdin, c.Stdout, c.Stderr = tty, tty, tty
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			defer c.Process.Kill()
			tty.Close()
			var screen bytes.Buffer
			r := bufio.NewReader(io.TeeReader(keyboard, &screen))
			if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "ready") {
				t.Fatalf("%q, %v", line, err)
			}
			for _, key := range test.keys {
				keyboard.Write([]byte{byte(key)})
				time.Sleep(100 * time.Millisecond)
			}
			io.Copy(io.Discard, r) // until the last process has let go
			c.Wait()
			if got := c.ProcessState.ExitCode(); got != test.status || !strings.Contains(screen.String(), test.says) {
				t.Errorf("exit status %d, want %d; screen: %q", got, test.status, screen.String())
			}
		})
	}
}

// terminal makes a pseudo terminal.
func terminal(t *testing.T) (keyboard, tty *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, tty
}

func TestSandboxDetached(t *testing.T) {
	sandboxtest.Need(t, "nft", "ip")
	state := t.TempDir()
	p := startPlay(t, state, "detached")
	r := p.ready(t)
	if st := p.status(t); st != 0 {
		t.Fatalf("exit status %d", st)
	}
	c, err := net.Dial("tcp", r.Addr)
	if err != nil {
		t.Fatalf("the world ended with its starter: %v", err)
	}
	c.Close()
	runs, err := List(state)
	if err != nil || len(runs) != 1 || !runs[0].Detached || !bytes.Contains(runs[0].Info, []byte(r.Addr)) {
		t.Fatalf("runs %+v, %v", runs, err)
	}
	if err := End(state, r.ID); err != nil {
		t.Fatal(err)
	}
	if left := traces(t, state, r.ID); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := End(state, r.ID); err != nil {
		t.Errorf("a second end: %v", err)
	}
}

func TestSandboxDetachedThatFails(t *testing.T) {
	sandboxtest.Need(t)
	state := t.TempDir()
	p := startPlay(t, state, "detached-fails")
	p.Wait()
	if s := p.err.String(); !strings.HasPrefix(s, "enter: 3 ") || !strings.Contains(s, "exit status 3") || !strings.Contains(s, "port 99999") {
		t.Errorf("said %q", s)
	}
	if names, _ := filepath.Glob(state + "/runs/*"); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}

// Whoever interrupts the start of a detached world has interrupted it, and nothing
// of it goes on.
func TestSandboxDetachedInterrupted(t *testing.T) {
	sandboxtest.Need(t)
	state := t.TempDir()
	p := startPlay(t, state, "detached-waits")
	for logs := []string(nil); ; time.Sleep(10 * time.Millisecond) {
		if logs, _ = filepath.Glob(filepath.Join(state, "runs", "*", logFile)); len(logs) == 1 && lastLines(logs[0], 1) == "waiting" {
			break
		}
	}
	p.Process.Signal(unix.SIGTERM)
	if st := p.status(t); st != 130 {
		t.Errorf("exit status %d", st)
	}
	if names, _ := filepath.Glob(state + "/runs/*"); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}
