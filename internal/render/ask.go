package render

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Program is the name of the program that renders. It lies beside this one.
const Program = "road-render"

// A Request is one source to be rendered.
type Request struct {
	Files  map[string][]byte `json:"files"`
	Root   string            `json:"root,omitempty"` // a folder of the disk for what Files lacks; "" for none
	Source Source            `json:"source"`
	Values bool              `json:"values,omitempty"` // only the values of a chart are asked for
}

// An Answer is what a Request gives.
type Answer struct {
	Result *Result           `json:"result,omitempty"`
	Values map[string]any    `json:"values,omitempty"` // what templates see as .Values
	Named  []string          `json:"named,omitempty"`  // the keys that templates name
	Read   map[string][]byte `json:"read,omitempty"`   // what was read from Root
	Error  *Error            `json:"error,omitempty"`
	Fault  string            `json:"fault,omitempty"` // an error without a place
}

// Here answers requests in this process; nil has the program do it. Package build
// sets it where it is linked in: in the program, and in tests.
var Here func(Request) Answer

// Render renders a source from the files of a tree, and adds to the tree what was
// read from its disk.
func Render(t *Tree, s Source) (*Result, error) {
	a, err := ask(Request{Files: t.Files, Root: t.Root, Source: s})
	if err != nil {
		return nil, err
	}
	for name, content := range a.Read {
		t.Files[name] = content
	}
	return a.Result, nil
}

// A HostError is why nothing can be rendered here, whatever the source.
type HostError struct{ Err error }

func (e *HostError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *HostError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *HostError) Hint() string {
	return "build all programs into one folder: make build, or go build -o bin/ ./cmd/..."
}

func ask(q Request) (Answer, error) {
	var a Answer
	var err error
	if Here != nil {
		a = Here(q)
	} else {
		a, err = running.ask(q)
	}
	switch {
	case err != nil:
		return a, &HostError{fmt.Errorf("%s, which renders kustomizations and charts, %w", Program, err)}
	case a.Error != nil:
		return a, a.Error
	case a.Fault != "":
		return a, errors.New(a.Fault)
	}
	return a, nil
}

// running is the program, started when it is first needed. It ends when this
// process does: its input is at its end then.
var running program

type program struct {
	path string // "" is beside this program
	mu   sync.Mutex
	in   io.WriteCloser
	out  *bufio.Reader
	last *firstLine // what it says on its way out
	done chan error // how it ended
}

func (p *program) ask(q Request) (a Answer, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in == nil {
		if err := p.start(); err != nil {
			return a, err
		}
	}
	line, err := json.Marshal(q)
	if err == nil {
		_, err = p.in.Write(append(line, '\n'))
	}
	if err == nil {
		line, err = p.out.ReadBytes('\n')
	}
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil && p.in != nil { // the next who asks has another one
		p.in.Close()
		p.in = nil
		if ended := <-p.done; ended != nil {
			err = ended
		}
		err = fmt.Errorf("ended early: %w%s", err, p.last)
	}
	return a, err
}

func (p *program) start() error {
	path := p.path
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("is not found: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), Program)
	}
	cmd := exec.Command(path)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.last, p.done = &firstLine{}, make(chan error, 1)
	cmd.Stderr = p.last // it is not the user's: the libraries may tell values
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("does not start: %w", err)
	}
	p.in, p.out = in, bufio.NewReaderSize(out, 1<<20)
	go func() { p.done <- cmd.Wait() }() // it ends with its input
	return nil
}

// A firstLine keeps the beginning of what is written, up to the end of a line.
type firstLine struct {
	mu   sync.Mutex
	text []byte
}

func (l *firstLine) Write(b []byte) (int, error) {
	const most = 200
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b[:min(len(b), most-min(len(l.text), most))]...)
	return len(b), nil
}

// String gives it to be put behind an error.
func (l *firstLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, _, _ := strings.Cut(string(l.text), "\n")
	if line == "" {
		return ""
	}
	return ": " + line
}
