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
		return a, fmt.Errorf("%s: %w", Program, err)
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
	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Reader
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
	}
	return a, err
}

func (p *program) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(filepath.Dir(self), Program))
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("it must lie beside %s: %w", self, err)
	}
	go cmd.Wait() // it ends with its input
	p.in, p.out = in, bufio.NewReaderSize(out, 1<<20)
	return nil
}
