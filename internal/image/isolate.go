package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The names under which a process of this program is not this program.
const (
	builderName  = "road-builder"  // runs BuildKit
	isolatedName = "road-isolated" // becomes the program that its arguments name
)

// Main takes over a process that was started as the store's builder, and does
// not return then. It must be called first in main.
func Main() {
	switch os.Args[0] {
	case builderName:
		os.Exit(builderMain())
	case isolatedName:
		fmt.Fprintln(os.Stderr, becomeIsolated())
		os.Exit(127)
	}
}

// isolated prepares a command that runs in mount and PID namespaces of its own:
// what it mounts is never seen outside, and all its descendants die with it.
// Start it with startBound, so that it dies with this process.
func isolated(ctx context.Context, program string, args ...string) *exec.Cmd {
	return isolatedSelf(ctx, isolatedName, append([]string{program}, args...)...)
}

func isolatedSelf(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "/proc/self/exe", args...)
	c.Args[0] = name
	c.SysProcAttr = &syscall.SysProcAttr{
		Setpgid:    true, // Ctrl-C on a terminal is for us, who end the child in order
		Pdeathsig:  syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID,
	}
	return c
}

// startBound starts c and gives a channel with the result of waiting for it.
// The death signal follows the thread that started the child, so that thread is
// kept until the child has ended.
func startBound(c *exec.Cmd) (<-chan error, error) {
	if n := os.Args[0]; n == builderName || n == isolatedName {
		return nil, errors.New("image.Main was not called first in main")
	}
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.Start()
		started <- err
		if err == nil {
			ended <- c.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}

// isolateMounts makes the mounts of this process, which has a mount and a PID
// namespace of its own, invisible to all others. Mounts that others take away
// go away here too.
func isolateMounts() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

func becomeIsolated() error {
	if err := isolateMounts(); err != nil {
		return err
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", path, syscall.Exec(path, os.Args[1:], os.Environ()))
}
