package limits

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The attacks of this step: what one pod can take from all others of its node.
// Most act alone, because they use up what the others would need. All are judged by
// what the node counts. The bomb comes last of those, since a kernel that kills for
// want of memory may choose another process than the attacker's.
var attacks = []step.Attack{
	{
		Name:      "cpu-burn",
		Goal:      "take the node's processors, as a miner of coins does",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside, sandbox.CPULimits},
		OwnPod:    true,
		Alone:     true,
		Run:       cpuBurn,
	},
	{
		Name:      "disk-fill",
		Goal:      "fill the node's disk",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		EndsPod:   true,
		Run:       diskFill,
	},
	{
		Name:      "fork-bomb",
		Goal:      "take the node's process numbers",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		OwnPod:    true,
		Alone:     true,
		Open:      "no field of a pod limits processes: only the kubelet's podPidsLimit does, or the node's own limit, which is what holds it here",
		Run:       forkBomb,
	},
	{
		Name:      "memory-bomb",
		Goal:      "take the node's memory",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside, sandbox.MemoryLimits},
		OwnPod:    true,
		Alone:     true,
		Run:       memoryBomb,
	},
}

// limitOf gives the limit that holds the scene's container, its own or its
// pod's; not ok where there is none.
func limitOf(s *sandbox.Scene, r corev1.ResourceName) (q resource.Quantity, ok bool, err error) {
	c := step.Container(s)
	if c == nil {
		return q, false, fmt.Errorf("%s has no container %q", s.Target.Workload, s.Target.Container)
	}
	if has(c.Spec.Resources.Limits, r) {
		return c.Spec.Resources.Limits[r], true, nil
	}
	if p := c.Workload.Pod.Resources; p != nil && has(p.Limits, r) {
		return p.Limits[r], true, nil
	}
	return q, false, nil
}

// bombBytes is how much memory the bomb takes; a quarter more than the limit where
// that is more. Every page of it has to be written, which is most of its time.
const bombBytes = 320 * mebi

// A memory is what became of a memory bomb.
type memory struct {
	want, limit   int64 // bytes; limit 0 for none
	before, after sandbox.Usage
	peak          int64 // of anonymous memory, by the node's count
	err           error // what the probe said
}

// memoryBomb has a child of the probe write to memory until it has enough or is
// killed, while the node counts.
func memoryBomb(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	limit, _, err := limitOf(s, corev1.ResourceMemory)
	if err != nil {
		return step.Outcome{}, err
	}
	m := memory{limit: limit.Value(), want: max(bombBytes, limit.Value()/4*5)}
	if m.before, err = s.Node.Usage(); err != nil {
		return step.Outcome{}, err
	}
	m.peak = m.before.AnonBytes
	var held probe.Held
	answer := make(chan error, 1)
	go func() {
		answer <- s.Foothold.Code(ctx, probe.Alloc, probe.AllocArgs{Bytes: m.want + m.want/64}, &held)
	}()
	for answered := false; !answered; {
		select {
		case m.err = <-answer:
			answered = true
		case <-time.After(25 * time.Millisecond):
		}
		if m.after, err = s.Node.Usage(); err != nil {
			return step.Outcome{}, errors.Join(err, ctx.Err())
		}
		m.peak = max(m.peak, m.after.AnonBytes)
	}
	out, err := m.judge()
	if m.err == nil {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Release, held))
	}
	return out, err
}

// judge says what the counts mean. The kernel counts whom the node's limit killed
// in the victim's own cgroup, so only a pod that was at its own limit was killed by
// it. The peak is looked at now and then and falls short; half the limit shows that
// it was not its files in memory that brought it there.
func (m memory) judge() (step.Outcome, error) {
	killed := m.after.OOMKills - m.before.OOMKills
	counts := fmt.Sprintf("on the node: anonymous memory of the pod %d MiB before, %d MiB at most", m.before.AnonBytes/mebi, m.peak/mebi)
	switch {
	case m.peak-m.before.AnonBytes >= m.want: // what the pod had is not the bomb's
		return step.Outcome{Verdict: step.Succeeded, Evidence: counts}, nil
	case killed > 0 && m.limit > 0 && m.after.Full && m.peak >= m.limit/2:
		evidence := fmt.Sprintf("%s, limit %d MiB\nits cgroup's oom_kill %d before, %d after", counts, m.limit/mebi, m.before.OOMKills, m.after.OOMKills)
		if m.err != nil {
			evidence += "\n" + m.err.Error()
		}
		return step.Outcome{Verdict: step.Blocked, Evidence: evidence}, nil
	case killed > 0:
		return step.Outcome{}, fmt.Errorf("killed by the limit of the whole node and not by the pod's own (%d MiB, 0 for none): %s", m.limit/mebi, counts)
	case m.err != nil:
		return step.Outcome{}, m.err
	}
	return step.Outcome{}, fmt.Errorf("the memory was written, and the node does not count it: %s", counts)
}

// forks is how many processes the fork bomb makes: many more than any server,
// and fewer than the node has room for.
const forks = 200

// forkBomb makes processes that only wait, and has the node count them.
func forkBomb(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	before, err := s.Node.Usage()
	if err != nil {
		return step.Outcome{}, err
	}
	var made probe.ForkResult
	if err := s.Foothold.Code(ctx, probe.Fork, probe.ForkArgs{Count: forks + forks/10}, &made); err != nil {
		return step.Outcome{}, err
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Release, probe.Held{Hold: made.Hold}))
	}()
	after, err := s.Node.Usage()
	if err != nil {
		return step.Outcome{}, err
	}
	return judgeForks(made, before.Processes, after.Processes)
}

// judgeForks says what the counts mean.
func judgeForks(made probe.ForkResult, before, after int64) (step.Outcome, error) {
	counts := fmt.Sprintf("on the node: %d processes and threads of the pod before, %d after", before, after)
	switch {
	case after-before >= forks:
		return step.Outcome{Verdict: step.Succeeded, Evidence: counts}, nil
	case made.Count < forks && denied(made.Refused):
		return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("fork: %s, after %d processes\n%s", made.Refused, made.Count, counts)}, nil
	}
	if made.Refused != "" {
		return step.Outcome{}, fmt.Errorf("fork: %s, after %d processes, by a limit of the node's: %s", made.Refused, made.Count, counts)
	}
	return step.Outcome{}, fmt.Errorf("%d processes were made, and the node does not count them: %s", made.Count, counts)
}

// denied says whether the kernel's word is that this container may not fork: no
// limit, which only the node has, says that.
func denied(word string) bool {
	return slices.ContainsFunc([]syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.ENOSYS}, func(e syscall.Errno) bool {
		return strings.EqualFold(word, e.Error())
	})
}
