package pinnedimage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: what somebody does who may push.
var attacks = []step.Attack{{
	Name:      "swap-the-tag",
	Goal:      "run a program of one's own by pushing another image under the same tag",
	Transport: step.Other,
	Needs:     []sandbox.Power{sandbox.HostView},
	Waits:     true, // it looks at a pod of its own
	Run:       swapTheTag,
}}

// readyIn is how long the pod on the other node may take to get ready, where the
// attack has failed.
const readyIn = time.Minute

// runsIn is how long the attacker's program may take to be seen there.
const runsIn = 15 * time.Second

// restoreLimit is how long the tag may take to be moved back.
const restoreLimit = time.Minute

// swapTheTag moves the tag of the container's image, has the pod start on a node
// that has no image of it, and looks there for the attacker's program.
func swapTheTag(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Registry == nil {
		return out, errors.New("this engine has no registry")
	}
	moved, err := s.Registry.Overwrite(ctx)
	if err != nil {
		return out, fmt.Errorf("the tag could not be moved: %w", err)
	}
	defer func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreLimit)
		defer cancel()
		err = errors.Join(err, moved.Restore(limit))
	}()
	r, err := s.Registry.Start(ctx)
	if err != nil {
		return out, fmt.Errorf("the pod does not start on another node: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	push := fmt.Sprintf("pushed %s over %s, which was %s", short(moved.Is), moved.Tag, short(moved.Was))
	if r.Digest == moved.Is {
		return attackersRuns(ctx, push, moved, r)
	}
	if !strings.Contains(r.Image, "@") {
		// Only a digest keeps the attacker's image away. Somebody pushed the tag meanwhile.
		return out, fmt.Errorf("%s, and a fresh node asked for %s and got %s: the tag was moved again", push, r.Image, short(r.Digest))
	}
	return originalRuns(ctx, push, moved, r)
}

// attackersRuns judges where the node was given the attacker's image.
func attackersRuns(ctx context.Context, push string, moved *sandbox.Overwritten, r *sandbox.Replica) (step.Outcome, error) {
	limit, cancel := context.WithTimeout(ctx, runsIn)
	defer cancel()
	p, there, err := step.FindProcess(limit, r.Node, moved.Program)
	for !there && limit.Err() == nil { // the container may not have begun yet
		time.Sleep(20 * time.Millisecond)
		p, there, err = step.FindProcess(limit, r.Node, moved.Program)
	}
	if !there {
		return step.Outcome{}, fmt.Errorf("%s, and a fresh node was given it, but %s was not seen to run: %w", push, moved.Program, errors.Join(err, limit.Err()))
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("%s\na fresh node asked for %s, got %s, and runs %s as PID %d of the container",
		push, r.Image, short(r.Digest), p.Exe, p.Inside)}, nil
}

// originalRuns judges where the node was given another: it has to work, and the
// attacker's program must not be there.
func originalRuns(ctx context.Context, push string, moved *sandbox.Overwritten, r *sandbox.Replica) (step.Outcome, error) {
	limit, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	if err := r.Ready(limit); err != nil {
		return step.Outcome{}, fmt.Errorf("the pod does not get ready on another node: %w", err)
	}
	list, err := r.Node.Processes()
	if err != nil {
		return step.Outcome{}, err
	}
	first := "nothing any more"
	for _, p := range list {
		if strings.HasPrefix(p.Exe, moved.Program) {
			return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("%s\nthe node runs %s all the same", push, p.Exe)}, nil
		}
		if p.Inside == 1 {
			first = p.Exe + " as PID 1 of the container"
		}
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("%s\na fresh node asked for %s, got %s, and runs %s", push, r.Image, short(r.Digest), first)}, nil
}

// short cuts a digest to what tells it apart.
func short(digest string) string {
	if kind, hex, ok := strings.Cut(digest, ":"); ok && len(hex) > 12 {
		return kind + ":" + hex[:12]
	}
	return digest
}
