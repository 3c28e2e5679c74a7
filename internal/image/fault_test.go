package image

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"road/internal/sandbox/sandboxtest"

	"golang.org/x/sys/unix"
)

// buildElsewhere starts a process of its own that builds; see TestMain. Its
// lines of progress, and "done" or "failed: ...", come over the channel.
func buildElsewhere(t *testing.T, store, dockerfile string) (*exec.Cmd, <-chan string) {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "ROAD_TEST_BUILD="+dockerfile, "ROAD_TEST_STORE="+store, "TMPDIR="+t.TempDir())
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return c, lines
}

// waitLine waits for a line with part in it.
func waitLine(t *testing.T, lines <-chan string, part string) {
	t.Helper()
	timeout := time.After(60 * time.Second)
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				t.Fatalf("ended without a line with %q", part)
			}
			t.Log("elsewhere:", l)
			if strings.Contains(l, part) {
				return
			}
		case <-timeout:
			t.Fatalf("no line with %q", part)
		}
	}
}

// running finds the processes with a command line that contains part.
func running(part string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		if line := strings.ReplaceAll(string(b), "\x00", " "); strings.Contains(line, part) && !strings.Contains(f, "/"+strconv.Itoa(os.Getpid())+"/") {
			found = append(found, line)
		}
	}
	return found
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: " + what)
		}
	}
}

// Whoever builds may be killed at any moment: all that it started ends, nothing
// stays mounted, and the next build works and still finds the cache.
func TestSandboxKilledBuild(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := privateStore(t)
	mark := strconv.FormatInt(time.Now().UnixNano(), 10)
	content := "FROM debian:trixie-slim\nRUN echo " + mark + "\nRUN sleep 30." + mark + "\n"
	c, lines := buildElsewhere(t, s.o.Dir, content)
	waitLine(t, lines, "RUN sleep")
	eventually(t, "the step runs", func() bool { return len(running("sleep 30."+mark)) > 0 })
	mounts, _ := os.ReadFile("/proc/self/mounts")
	if strings.Contains(string(mounts), s.o.Dir) {
		t.Error("mounts of a build are seen on the host")
	}
	c.Process.Signal(syscall.SIGKILL)
	c.Wait()
	eventually(t, "the step and the builder end", func() bool {
		return len(running("sleep 30."+mark)) == 0 && len(running(builderName+" {\"Root\":\""+s.o.Dir+"/bk\"")) == 0
	})
	root, b := writeBuild(t, strings.Replace(content, "sleep 30."+mark, "true", 1), nil)
	var said []string
	if _, err := s.Build(t.Context(), "web", root, b, func(l string) { said = append(said, l) }); err != nil {
		t.Fatal(err)
	}
	if hasLine(said, "RUN echo") || !hasLine(said, "RUN true") {
		t.Errorf("the cache was not used: %q", said)
	}
	s.Close()
	if dirs, _ := filepath.Glob("/sys/fs/cgroup/*/road-image-test"); len(dirs) > 0 {
		t.Error("cgroups left:", dirs)
	}
}

// Two processes build in turn, and the second says that it waits, and for whom.
func TestSandboxTwoProcesses(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := privateStore(t)
	mark := strconv.FormatInt(time.Now().UnixNano(), 10)
	c, lines := buildElsewhere(t, s.o.Dir, "FROM debian:trixie-slim\nRUN sleep 2."+mark+"\n")
	waitLine(t, lines, "RUN sleep")
	root, b := writeBuild(t, "FROM debian:trixie-slim\nRUN echo "+mark+"\n", nil)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			var said []string
			if _, err := s.Build(t.Context(), "web", root, b, func(l string) { said = append(said, l) }); err != nil {
				t.Error(err)
			}
			if want := "waiting for another road that is building (pid " + strconv.Itoa(c.Process.Pid) + ")"; !hasLine(said, want) {
				t.Errorf("%q not said: %q", want, said)
			}
		})
	}
	wg.Wait()
	waitLine(t, lines, "done")
}

func TestSandboxCancelledBuild(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := privateStore(t)
	mark := strconv.FormatInt(time.Now().UnixNano(), 10)
	root, b := writeBuild(t, "FROM debian:trixie-slim\nRUN sleep 30."+mark+"\n", nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for len(running("sleep 30."+mark)) == 0 && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
	}()
	if _, err := s.Build(ctx, "web", root, b, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.Close()
	eventually(t, "the step ends", func() bool { return len(running("sleep 30."+mark)) == 0 })
}

func TestSandboxBuilderCrash(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := privateStore(t)
	mark := strconv.FormatInt(time.Now().UnixNano(), 10)
	root, b := writeBuild(t, "FROM debian:trixie-slim\nRUN sleep 30."+mark+"\n", nil)
	go func() {
		for len(running("sleep 30."+mark)) == 0 && t.Context().Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		os.WriteFile(s.builder.log, []byte("panic: the last words\n"), 0o600)
		s.builder.kill()
	}()
	_, err := s.Build(t.Context(), "web", root, b, nil)
	if err == nil || !strings.Contains(err.Error(), "the builder ended: signal: killed") || !strings.Contains(err.Error(), "the last words") {
		t.Error(err)
	}
	root, b = writeBuild(t, "FROM debian:trixie-slim\nRUN echo "+mark+"\n", nil)
	if _, err := s.Build(t.Context(), "web", root, b, nil); err != nil {
		t.Error("the next build:", err)
	}
}

// The builder leaves BuildKit's root to others soon after its last build.
func TestSandboxIdleBuilder(t *testing.T) {
	sandboxtest.Need(t, "runc")
	s := tempStore(t, t.TempDir())
	root, b := writeBuild(t, "FROM scratch\nCOPY a /\n", map[string]string{"a": "A"})
	for range 2 {
		if _, err := s.Build(t.Context(), "web", root, b, nil); err != nil {
			t.Fatal(err)
		}
		if len(running(s.o.Dir+"/bk")) == 0 {
			t.Error("no builder is there")
		}
		eventually(t, "the idle builder ends", func() bool { return len(running(s.o.Dir+"/bk")) == 0 })
	}
	eventually(t, "nothing of the builder is left", func() bool {
		left, _ := filepath.Glob(s.o.Dir + "/tmp/*")
		return len(left) == 0
	})
}

func TestSandboxFullDisk(t *testing.T) {
	sandboxtest.Need(t, "runc")
	small := t.TempDir()
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(small, unix.MNT_DETACH)
	s, err := Open(Options{Dir: filepath.Join(small, "store"), CgroupParent: "/road-image-test"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	root, b := writeBuild(t, "FROM scratch\nCOPY large /\n", map[string]string{"large": strings.Repeat("0123456789", 1<<20)})
	_, err = s.Build(t.Context(), "web", root, b, nil)
	var h interface{ Hint() string }
	if err == nil || !errors.As(err, &h) || !strings.Contains(h.Hint(), "the disk is full: free some space below "+small) {
		t.Errorf("%v", err)
	}
}

func TestSandboxMissingTools(t *testing.T) {
	sandboxtest.Need(t)
	t.Setenv("PATH", t.TempDir())
	s := tempStore(t, t.TempDir())
	s.registry.offline = true
	root, b := writeBuild(t, "FROM scratch\n", nil)
	_, err := s.Build(t.Context(), "web", root, b, nil)
	var h interface{ Hint() string }
	if !errors.As(err, &h) || h.Hint() != "apt-get install runc" {
		t.Error(err)
	}
	_, err = s.Pull(t.Context(), "debian:bookworm", nil)
	if !errors.As(err, &h) || h.Hint() != "apt-get install mmdebstrap" {
		t.Error(err)
	}
}

// Dockerfiles start from a registry's images too, with and without a tag.
func TestSandboxBuildOnRegistryBase(t *testing.T) {
	sandboxtest.Need(t, "runc")
	addr, srv := testRegistry(t)
	push(t, addr+"/team/odd", odd(t))
	s := tempStore(t, t.TempDir())
	for i, from := range []string{addr + "/team/odd", addr + "/team/odd:latest"} {
		root, b := writeBuild(t, "FROM "+from+"\nCOPY a /d/\nFROM scratch\nCOPY --from="+from+" /d/added /\nCOPY --from=0 /d/a /\n", map[string]string{"a": "A"})
		img, err := s.Build(t.Context(), "web", root, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"/added", "/a"} {
			if _, err := layers(img.Lowers).find(f); err != nil {
				t.Error(f, err)
			}
		}
		if i == 0 {
			srv.Close() // what was pulled once is in the store
		}
	}
	root, b := writeBuild(t, "FROM "+addr+"/team/odd\n", nil)
	img, err := s.Build(t.Context(), "web", root, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkOdd(t, img)
}
