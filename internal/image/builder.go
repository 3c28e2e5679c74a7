package image

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// builderIdle is how long a builder stays after its last build. Another process
// that wants to build waits that long at most.
const builderIdle = time.Second

// A builder is the parent's end of a builder process.
type builder struct {
	in      *os.File // requests
	log     string   // file with its standard error
	kill    func() error
	exited  chan struct{}
	exit    error // valid after exited
	replied chan struct{}

	mu      sync.Mutex
	gone    bool // no further builds
	next    int
	waiting map[int]*pending
	idle    *time.Timer
	notice  string // the last line for all
}

type pending struct {
	say  func(string)
	done chan reply
}

// solve runs r in the builder, which is started where none runs.
func (s *Store) solve(ctx context.Context, r *buildRequest, say func(string)) (*buildResult, error) {
	for {
		b, err := s.runningBuilder()
		if err != nil {
			return nil, fmt.Errorf("start the builder: %w", err)
		}
		id, p, ok := b.begin(say)
		if !ok {
			s.forget(b) // it went idle just now
			continue
		}
		res, err := b.run(ctx, id, p, request{Build: r})
		b.finish(id, func() { s.forget(b) })
		return res, err
	}
}

func (s *Store) runningBuilder() (*builder, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("the image store is closed")
	}
	if s.builder != nil {
		return s.builder, nil
	}
	b, err := s.startBuilder()
	if err == nil {
		s.builder = b
	}
	return b, err
}

func (s *Store) forget(b *builder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.builder == b {
		s.builder = nil
	}
}

func (s *Store) startBuilder() (*builder, error) {
	o, err := json.Marshal(builderOptions{Root: filepath.Join(s.o.Dir, "bk"), CgroupParent: s.o.CgroupParent, PID: s.o.PID, Alone: s.alone})
	if err != nil {
		return nil, err
	}
	dir, done, err := s.tempDir("builder")
	if err != nil {
		return nil, err
	}
	b, err := startBuilderIn(dir, string(o))
	if err != nil {
		done()
		return nil, err
	}
	go func() {
		<-b.exited
		<-b.replied
		b.fail()
		done()
	}()
	return b, nil
}

func startBuilderIn(dir, options string) (*builder, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	out, replies, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer replies.Close()
	c := isolatedSelf(context.Background(), builderName, options)
	c.Env = append(os.Environ(), "TMPDIR="+dir)
	c.Stdin, c.Stdout, c.Stderr, c.ExtraFiles = stdin, log, log, []*os.File{replies}
	ended, err := startBound(c)
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	b := &builder{in: in, log: log.Name(), kill: c.Process.Kill, exited: make(chan struct{}), replied: make(chan struct{}), waiting: map[int]*pending{}}
	go func() { b.exit = <-ended; close(b.exited) }()
	go func() { b.read(out); close(b.replied) }()
	return b, nil
}

// begin registers a build; ok is false where the builder takes no more.
func (b *builder) begin(say func(string)) (id int, p *pending, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return 0, nil, false
	}
	if b.idle != nil {
		b.idle.Stop()
	}
	b.next++
	p = &pending{say, make(chan reply, 1)}
	b.waiting[b.next] = p
	if b.notice != "" {
		say(b.notice)
	}
	return b.next, p, true
}

// run sends the request and waits for its end.
func (b *builder) run(ctx context.Context, id int, p *pending, r request) (*buildResult, error) {
	r.ID = id
	b.send(r)
	var end reply
	select {
	case end = <-p.done:
	case <-ctx.Done():
		b.send(request{ID: id, Cancel: true})
		return nil, context.Cause(ctx)
	}
	if end.Error != nil {
		return nil, end.Error
	}
	return end.Result, nil
}

// send ignores errors: a builder that reads no more has ended, and fail tells
// everyone who waits.
func (b *builder) send(r request) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and maps of strings
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gone {
		b.in.Write(append(line, '\n'))
	}
}

func (b *builder) finish(id int, ended func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, id)
	if len(b.waiting) == 0 && !b.gone {
		b.idle = time.AfterFunc(builderIdle, func() {
			if b.stop() {
				ended()
			}
		})
	}
}

// stop lets a builder without work end by itself.
func (b *builder) stop() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone || len(b.waiting) > 0 {
		return false
	}
	b.gone = true
	b.in.Close()
	return true
}

// end cancels all builds and waits until the builder has ended.
func (b *builder) end() {
	b.mu.Lock()
	if !b.gone {
		b.gone = true
		b.in.Close()
	}
	b.mu.Unlock()
	select {
	case <-b.exited:
	case <-time.After(5 * time.Second):
		b.kill() // its PID namespace, and all that builds in it, ends with it
		<-b.exited
	}
	<-b.replied
}

func (b *builder) read(out *os.File) {
	defer out.Close()
	d := json.NewDecoder(bufio.NewReader(out))
	for {
		var r reply
		if err := d.Decode(&r); err != nil {
			return
		}
		b.mu.Lock()
		p := b.waiting[r.ID]
		all := make([]*pending, 0, len(b.waiting))
		if r.ID == 0 {
			b.notice = r.Line
			for _, w := range b.waiting {
				all = append(all, w)
			}
		} else {
			b.notice = "" // it builds, so it waits no more
		}
		b.mu.Unlock()
		for _, w := range all {
			w.say(r.Line)
		}
		switch {
		case p == nil:
		case r.Result != nil || r.Error != nil:
			p.done <- r
		default:
			p.say(r.Line)
		}
	}
}

// fail tells everyone who still waits that the builder has ended.
func (b *builder) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.gone {
		b.gone = true
		b.in.Close()
	}
	reason := "the builder ended"
	if b.exit != nil {
		reason += ": " + b.exit.Error()
	}
	e := &BuildError{Reason: reason, Output: lastLines(b.log, outputLines)}
	for _, p := range b.waiting {
		select {
		case p.done <- reply{Error: e}:
		default: // it has its answer
		}
	}
}

// lastLines reads the end of a log.
func lastLines(file string, n int) []string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var lines []string
	for _, l := range strings.Split(string(raw), "\n") {
		if l = cleanLine(l); l != "" {
			lines = append(lines, l)
		}
	}
	return lines[max(0, len(lines)-n):]
}
