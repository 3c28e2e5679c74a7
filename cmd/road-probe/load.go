package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// The children that use resources up: processes of their own, so that the kernel
// kills them and not the agent, which has to tell.
const (
	childAlloc = "child-alloc" // BYTES: says one line when it has them
	childSpin  = "child-spin"  // MILLISECONDS
)

// alloc returns when every page has been written.
func alloc(_ context.Context, a *agent, args probe.AllocArgs) (any, error) {
	cmd := exec.Command(self, childAlloc, strconv.FormatInt(args.Bytes, 10))
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	p, err := start(cmd)
	w.Close()
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil && line == "ok\n" {
		return probe.Held{Hold: a.hold(p.kill)}, nil
	}
	<-p.ended
	return nil, fmt.Errorf("%s%v", line, p.cmd.ProcessState)
}

// fill asks the kernel for the blocks at once. Where it has no such call, for this file
// system or this process, they are written.
func fill(ctx context.Context, _ *agent, args probe.FillArgs) (any, error) {
	f, err := os.OpenFile(args.Path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for {
		err = unix.Fallocate(int(f.Fd()), 0, 0, args.Bytes)
		if err != unix.EINTR {
			break
		}
	}
	if err != unix.EOPNOTSUPP && err != unix.ENOSYS && err != unix.EPERM {
		return nil, failed("fallocate", args.Path, err)
	}
	part := bytes.Repeat([]byte("road"), 1<<18)
	for left := args.Bytes; left > 0 && ctx.Err() == nil; left -= int64(len(part)) {
		if _, err := f.Write(part[:min(left, int64(len(part)))]); err != nil {
			return nil, err
		}
	}
	return nil, errors.Join(ctx.Err(), f.Close())
}

// spin starts processes that are busy until their time is over.
func spin(_ context.Context, a *agent, args probe.SpinArgs) (any, error) {
	if args.Processes < 1 || args.Processes > 64 || args.Millis < 1 || args.Millis > 60000 {
		return nil, errors.New("asks for 1 to 64 processes and 1 to 60000 milliseconds")
	}
	var running []*process
	end := func() {
		for _, p := range running {
			p.kill()
		}
	}
	for range args.Processes {
		p, err := start(exec.Command(self, childSpin, strconv.Itoa(args.Millis)))
		if err != nil {
			end()
			return nil, err
		}
		running = append(running, p)
	}
	return probe.Held{Hold: a.hold(end)}, nil
}

// fork makes processes until it has enough or the kernel refuses.
func fork(_ context.Context, a *agent, args probe.ForkArgs) (any, error) {
	if args.Count < 1 || args.Count > 10000 {
		return nil, errors.New("asks for 1 to 10000 processes")
	}
	made := make(chan probe.ForkResult)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the children live as long as this thread
		defer runtime.UnlockOSThread()
		defer close(stopped)
		var result probe.ForkResult
		var children []int
		for range args.Count {
			pid, errno := forkWaiter()
			if errno != 0 {
				result.Refused = words(errno)
				break
			}
			children = append(children, pid)
		}
		result.Count = len(children)
		made <- result
		<-stop
		for _, pid := range children {
			unix.Kill(pid, unix.SIGKILL) // it is our own child, not yet reaped
		}
		for _, pid := range children {
			for {
				if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
					break
				}
			}
		}
	}()
	result := <-made
	result.Hold = a.hold(func() { close(stop); <-stopped })
	return result, nil
}

// runChild is what a child does; its result is the exit status.
func runChild(args []string) int {
	if len(args) != 2 {
		return 2
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return 2
	}
	if args[0] == childSpin {
		runtime.LockOSThread() // else it moves on, and for moments none of its threads runs
		for end := time.Now().Add(time.Duration(n) * time.Millisecond); time.Now().Before(end); {
			for range 100_000 {
			}
		}
		return 0
	}
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		fmt.Print("mmap: ", err, "; ")
		return 1
	}
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	fmt.Println("ok")
	time.Sleep(10 * time.Minute)
	return 0
}
