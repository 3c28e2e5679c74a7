// Package admission asks whether a cluster would admit an object: Pod Security by
// the labels of its namespace, and ValidatingAdmissionPolicies. Kubernetes' own
// code decides, in a program of its own (road-admission, package judge), because
// that code brings a client of the API along, which every other command of road
// would pay for with its memory.
package admission

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
)

// Program is the name of the program that decides.
const Program = "road-admission"

// A Request is one object that somebody wants to create.
type Request struct {
	Cluster []json.RawMessage `json:"cluster"` // what decides: Namespaces, ValidatingAdmissionPolicies, their bindings and parameters
	Object  json.RawMessage   `json:"object"`  // with its kind, name and namespace
	User    string            `json:"user"`    // who creates it
}

// An Answer is what the API server says.
type Answer struct {
	Allowed  bool     `json:"allowed"`
	Message  string   `json:"message,omitempty"`  // why not, as kubectl shows it behind "Error from server (Forbidden): "
	Warnings []string `json:"warnings,omitempty"` // as kubectl shows them behind "Warning: "
	Fault    string   `json:"fault,omitempty"`    // why nobody can tell
}

// NewRequest puts a request together.
func NewRequest(cluster []runtime.Object, o runtime.Object, user string) (Request, error) {
	r := Request{User: user}
	for _, c := range cluster {
		b, err := json.Marshal(c)
		if err != nil {
			return r, err
		}
		r.Cluster = append(r.Cluster, b)
	}
	var err error
	r.Object, err = json.Marshal(o)
	return r, err
}

// A Judge is the program that decides, running. It answers one after another.
type Judge struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	broken error
}

// Start starts the program.
func Start(program string) (*Judge, error) {
	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Judge{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

// Ask asks for one decision. A Judge whose program failed, or was not waited
// for, gives an error from then on.
func (j *Judge) Ask(ctx context.Context, r Request) (Answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return Answer{}, j.broken
	}
	stop := context.AfterFunc(ctx, func() { j.cmd.Process.Kill() })
	a, err := j.exchange(line)
	if !stop() && err != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		j.broken = fmt.Errorf("%s: %w", Program, err)
		return Answer{}, j.broken
	}
	if a.Fault != "" {
		return Answer{}, errors.New(a.Fault)
	}
	return a, nil
}

func (j *Judge) exchange(line []byte) (a Answer, err error) {
	if _, err = j.in.Write(append(line, '\n')); err != nil {
		return a, err
	}
	if line, err = j.out.ReadBytes('\n'); err != nil {
		return a, err
	}
	return a, json.Unmarshal(line, &a)
}

// Close ends the program.
func (j *Judge) Close() error {
	err := j.in.Close()
	j.cmd.Process.Kill() // it may have ended by itself
	j.cmd.Wait()         // killed: its status says nothing
	return err
}
