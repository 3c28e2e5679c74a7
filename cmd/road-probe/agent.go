package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"road/internal/probe"
)

// A verbFunc does what one verb asks for.
type verbFunc func(ctx context.Context, a *agent, args json.RawMessage) (any, error)

// on makes a verbFunc of a function with typed arguments. An argument that the
// verb does not know is an error: a wrong word must not pass for an attack.
func on[A any](do func(context.Context, *agent, A) (any, error)) verbFunc {
	return func(ctx context.Context, a *agent, raw json.RawMessage) (any, error) {
		var args A
		if len(raw) > 0 {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.DisallowUnknownFields()
			if err := d.Decode(&args); err != nil {
				return nil, fmt.Errorf("arguments: %w", err)
			}
		}
		return do(ctx, a, args)
	}
}

// none is the arguments of a verb that has none.
type none struct{}

// verbs is all that the probe can do.
var verbs map[string]verbFunc

func init() { // not at its declaration: cancel and release look into what the others made
	verbs = map[string]verbFunc{
		probe.Idle: on(idle), probe.Status: on(status), probe.Environ: on(environ),
		probe.Read: on(read), probe.Write: on(write), probe.Rename: on(rename), probe.Symlink: on(symlink),
		probe.Remove: on(remove), probe.Mkdir: on(mkdir), probe.Chmod: on(chmod), probe.Chown: on(chown),
		probe.Stat: on(stat), probe.ReadDir: on(readDir), probe.Writable: on(writable), probe.Mknod: on(mknod), probe.Mount: on(mount),
		probe.Exec: on(execute), probe.Kill: on(kill), probe.UserNS: on(userNS),
		probe.Dial: on(dial), probe.Listen: on(listen), probe.Resolve: on(resolve),
		probe.Open: on(openPivot), probe.Send: on(send), probe.Receive: on(receive),
		probe.RawSend: on(rawSend), probe.Socket: on(socket),
		probe.Syscall: on(systemCall), probe.AddKey: on(addKey),
		probe.Fill: on(fill), probe.Alloc: on(alloc), probe.Spin: on(spin), probe.Fork: on(fork),
		probe.Release: on(release), probe.Cancel: on(cancelRequest),
	}
}

// An agent serves one stream of requests.
type agent struct {
	outMu sync.Mutex
	out   io.Writer

	mu      sync.Mutex
	cancels map[int]context.CancelFunc // by request
	last    int                        // hold
	holds   map[int]func()             // what ends each
	pivots  map[int]*pivot             // by hold
}

func newAgent(out io.Writer) *agent {
	return &agent{out: out, cancels: map[int]context.CancelFunc{}, holds: map[int]func(){}, pivots: map[int]*pivot{}}
}

// serve answers until in ends. Then everything that the agent holds ends too.
func (a *agent) serve(in io.Reader) error {
	defer a.close()
	if err := a.say(probe.Hello{Road: probe.Version, PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid()}); err != nil {
		return err
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading requests: %w", err)
		}
		var request probe.Request
		if err := json.Unmarshal(line, &request); err != nil {
			return fmt.Errorf("not a request: %.100q: %w", line, err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		a.mu.Lock()
		a.cancels[request.ID] = cancel
		a.mu.Unlock()
		go a.answer(ctx, request)
	}
}

// answer does what one request asks for. Requests may block, so each has a
// goroutine, and replies come in the order in which they are ready.
func (a *agent) answer(ctx context.Context, request probe.Request) {
	reply := probe.Reply{ID: request.ID}
	if do, ok := verbs[request.Verb]; !ok {
		reply.Error = &probe.Error{Op: request.Verb, Message: "no such verb"}
	} else if result, err := do(ctx, a, request.Args); err != nil {
		reply.Error = asError(request.Verb, err)
	} else if reply.Result, err = json.Marshal(result); err != nil {
		reply.Error = asError(request.Verb, err)
	}
	a.mu.Lock()
	if cancel := a.cancels[request.ID]; cancel != nil {
		cancel()
	}
	delete(a.cancels, request.ID)
	a.mu.Unlock()
	if err := a.say(reply); err != nil {
		os.Exit(1) // nobody listens any more
	}
}

// say writes one line.
func (a *agent) say(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	a.outMu.Lock()
	defer a.outMu.Unlock()
	_, err = a.out.Write(append(line, '\n'))
	return err
}

func cancelRequest(_ context.Context, a *agent, args probe.CancelArgs) (any, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if cancel := a.cancels[args.ID]; cancel != nil {
		cancel()
	}
	return nil, nil
}

// hold keeps end for Release, or for the end of the agent, and numbers it.
func (a *agent) hold(end func()) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	a.holds[a.last] = end
	return a.last
}

func release(_ context.Context, a *agent, args probe.Held) (any, error) {
	a.mu.Lock()
	end := a.holds[args.Hold]
	delete(a.holds, args.Hold)
	delete(a.pivots, args.Hold)
	a.mu.Unlock()
	if end == nil {
		return nil, fmt.Errorf("no hold %d", args.Hold)
	}
	end()
	return nil, nil
}

// close ends all holds.
func (a *agent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, end := range a.holds {
		end()
		delete(a.holds, id)
	}
}

// asError puts err into the form in which it travels.
func asError(verb string, err error) *probe.Error {
	e := &probe.Error{Op: verb, Message: err.Error()}
	var (
		ours     *probe.Error
		path     *fs.PathError
		link     *os.LinkError
		call     *os.SyscallError
		notFound *exec.Error
		errno    syscall.Errno
	)
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &path):
		e.Op, e.Path = path.Op, path.Path
	case errors.As(err, &link):
		e.Op, e.Path = link.Op, link.New
	case errors.As(err, &call):
		e.Op = call.Syscall
	case errors.As(err, &notFound):
		return &probe.Error{Op: "exec", Path: notFound.Name, Errno: int(syscall.ENOENT), Message: notFound.Err.Error()}
	}
	if errors.As(err, &errno) {
		e.Errno, e.Message = int(errno), words(errno)
	}
	return e
}

// words gives an errno as libc does: Go's table is the same but for the first letter.
func words(errno syscall.Errno) string {
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// failed is the error of a system call that was made of path.
func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
