package main

import (
	"context"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
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
func idle(_ context.Context, _ *agent, _ none) (any, error) {
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
	return nil, idleFiles()
}

// idleFiles reads a file to its end, and waits in vain for a pipe.
func idleFiles() error {
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
