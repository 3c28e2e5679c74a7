// Package admission asks whether a cluster would admit an object: Pod Security by
// the labels of its namespace, and ValidatingAdmissionPolicies. Kubernetes' own
// code decides, in a program of its own (road-admission, package judge), because
// that code brings a client of the API along, which every other command of road
// would pay for with its memory.
package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// Program is the name of the program that decides.
const Program = "road-admission"

// Admin is the user that kubeadm gives to who sets up a cluster, one of the group
// kubeadm:cluster-admins.
const Admin = "kubernetes-admin"

// An Act is what somebody wants to do: to create an object, or to update one.
type Act struct {
	Object      runtime.Object // with its kind, name and namespace
	Old         runtime.Object // as it was before an update; nil where Object is created
	Subresource string         // of the object, which an update goes to: "ephemeralcontainers"
	User        string         // who does it; his groups follow from his name
}

// A Request is an act, and those who have a say in it.
type Request struct {
	Cluster     []json.RawMessage `json:"cluster"` // what decides: Namespaces, ValidatingAdmissionPolicies, their bindings and parameters
	Object      json.RawMessage   `json:"object"`
	Old         json.RawMessage   `json:"old,omitempty"`
	Subresource string            `json:"subresource,omitempty"`
	User        string            `json:"user"`
}

// An Answer is what the API server says.
type Answer struct {
	Allowed  bool     `json:"allowed"`
	Message  string   `json:"message,omitempty"`  // why not, as kubectl shows it behind "Error from server (Forbidden): "
	Warnings []string `json:"warnings,omitempty"` // as kubectl shows them behind "Warning: "
	Fault    string   `json:"fault,omitempty"`    // why nobody can tell
}

// NewRequest puts a request together.
func NewRequest(cluster []runtime.Object, act Act) (Request, error) {
	r := Request{Subresource: act.Subresource, User: act.User}
	for _, c := range cluster {
		b, err := json.Marshal(c)
		if err != nil {
			return r, err
		}
		r.Cluster = append(r.Cluster, b)
	}
	var err error
	if r.Object, err = json.Marshal(act.Object); err == nil && act.Old != nil {
		r.Old, err = json.Marshal(act.Old)
	}
	return r, err
}

// A Judge is the program that decides, running. It answers one after another.
type Judge struct {
	program string
	turn    chan struct{} // holds one thing while somebody asks
	running *process      // nil where it has to be started anew
	closed  bool
}

// Start starts the program.
func Start(program string) (*Judge, error) {
	p, err := start(program)
	if err != nil {
		return nil, err
	}
	return &Judge{program: program, turn: make(chan struct{}, 1), running: p}, nil
}

// Ask asks for one decision. Where the program fails, or is not waited for, it is
// ended, and the next who asks has another one.
func (j *Judge) Ask(ctx context.Context, r Request) (Answer, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return Answer{}, context.Cause(ctx)
	}
	if err := j.ready(ctx); err != nil {
		return Answer{}, err
	}
	p := j.running
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	a, err := p.exchange(line)
	if inTime := stop(); !inTime || err != nil {
		j.running = nil
		p.end()
		switch {
		case !inTime:
			return Answer{}, context.Cause(ctx)
		case p.said.String() != "":
			err = fmt.Errorf("%w: %s", err, p.said.String())
		}
		return Answer{}, fmt.Errorf("%s: %w", Program, err)
	}
	if a.Fault != "" {
		return Answer{}, errors.New(a.Fault)
	}
	return a, nil
}

// ready has the program running for the one whose turn it is.
func (j *Judge) ready(ctx context.Context) (err error) {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case j.closed:
		return fmt.Errorf("%s has been ended", Program)
	case j.running == nil:
		j.running, err = start(j.program)
	}
	return err
}

// Close ends the program, once it has answered whom it is answering.
func (j *Judge) Close() error {
	j.turn <- struct{}{}
	defer func() { <-j.turn }()
	j.closed = true
	if j.running != nil {
		j.running.end()
	}
	j.running = nil
	return nil
}
