package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"road/internal/probe"
)

// How much idle does: enough for the runtime to start and end threads, collect
// garbage, interrupt a loop that never yields, and wait for a file.
const (
	idleThreads = 4
	idleMemory  = 4 << 20
	idleLoop    = 30 * time.Millisecond
)

// idle does nothing to anybody, but has Go's runtime do what it does by itself
// sooner or later, so that the system calls of that can be told from an attack's.
func idle(_ context.Context, _ *agent, args probe.IdleArgs) (any, error) {
	var threads sync.WaitGroup
	for range idleThreads {
		threads.Go(func() {
			runtime.LockOSThread() // never unlocked: the thread ends
			time.Sleep(time.Millisecond)
		})
	}
	loop := make(chan struct{})
	go func() {
		defer close(loop)
		for end := time.Now().Add(idleLoop); time.Now().Before(end); {
		}
	}()
	for range 3 {
		memory := make([]byte, idleMemory)
		for i := 0; i < len(memory); i += os.Getpagesize() {
			memory[i] = 1
		}
		runtime.KeepAlive(memory)
		runtime.GC()
	}
	debug.FreeOSMemory()
	threads.Wait()
	<-loop
	if args.Runtime {
		return nil, nil
	}
	return nil, errors.Join(idleFiles(), idleProgram())
}

// idleProgram starts a program and ends it, as attacks do that bring one along:
// how Go does that is the probe's business, and must not pass for a block.
func idleProgram() error {
	cmd := exec.Command(self, "hold")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	p, err := start(cmd)
	if err == nil {
		p.kill()
	}
	return err
}

// idleFiles reads a file to its end, removes one that is not there, as attacks
// tidy up behind them, and waits in vain for a pipe. On a read-only file system
// the kernel refuses to remove anything before it looks whether it is there.
func idleFiles() error {
	if err := os.Remove("/.road/none"); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	if _, err := os.ReadFile("/proc/self/status"); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	if err := r.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); err == io.EOF {
		return err
	}
	return nil
}
