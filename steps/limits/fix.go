package limits

import (
	"fmt"

	"road/internal/app"
	"road/internal/edit"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// A choice is what road.yaml may choose for the containers of one workload:
// limits, in place of those that follow from what was measured.
type choice struct {
	CPU              string `json:"cpu"`
	Memory           string `json:"memory"`
	EphemeralStorage string `json:"ephemeralStorage"`
}

// of gives the choice for a resource, "" where there is none.
func (c choice) of(r corev1.ResourceName) string {
	switch r {
	case corev1.ResourceCPU:
		return c.CPU
	case corev1.ResourceMemory:
		return c.Memory
	}
	return c.EphemeralStorage
}

// factor is how many times its measured peak a container may use. A limit keeps
// one pod from taking the node; it is never there to save.
const factor = 4

const (
	mebi = 1 << 20
	gibi = 1 << 30
)

// A rule makes figures of one resource out of a measured peak. All of them are
// bytes, or thousandths of a core.
type rule struct {
	peak         func(*app.Peak) int64
	minRequest   int64 // also what requests are multiples of
	minLimit     int64
	limitQuantum int64 // what limits are multiples of
}

// ruleOf gives the rule for a resource. The least request is what an idle server
// comes to; the least limits are far above what one needs, and far below what a
// node has. Logs count as ephemeral storage too, so nobody gets less than 1 GiB.
func ruleOf(r corev1.ResourceName) rule {
	switch r {
	case corev1.ResourceCPU:
		return rule{func(p *app.Peak) int64 { return p.MilliCPU }, 50, 1000, 500}
	case corev1.ResourceMemory:
		return rule{func(p *app.Peak) int64 { return p.MemoryBytes }, 16 * mebi, 256 * mebi, 64 * mebi}
	}
	return rule{func(p *app.Peak) int64 { return p.LayerBytes }, 64 * mebi, gibi, 256 * mebi}
}

// peakOf gives what a run showed c to use, nil where none has measured it.
func peakOf(a *app.App, c *app.Container) *app.Peak {
	seen := a.Seen.Containers[c.Workload.ID()][c.Spec.Name]
	if seen == nil {
		return nil
	}
	return seen.Peak
}

// limitFor gives the limit to write: the chosen one, else the measured, and in
// any case no less than the request that is there, which the API would refuse.
func limitFor(c *app.Container, r corev1.ResourceName, p *app.Peak, ch choice) string {
	k := ruleOf(r)
	text := show(r, max(k.minLimit, up(factor*k.peak(p), k.limitQuantum)))
	if chosen := ch.of(r); chosen != "" {
		text = chosen
	}
	limit, err := resource.ParseQuantity(text)
	if asked, ok := c.Spec.Resources.Requests[r]; ok && err == nil && asked.Cmp(limit) > 0 {
		return asked.String()
	}
	return text
}

// requestFor gives the request to write: the measured peak, but no more than the
// limit that is going to stand.
func requestFor(r corev1.ResourceName, p *app.Peak, limit string) string {
	k := ruleOf(r)
	text := show(r, max(k.minRequest, up(k.peak(p), k.minRequest)))
	if l, err := resource.ParseQuantity(limit); err == nil && l.Cmp(resource.MustParse(text)) < 0 {
		return limit
	}
	return text
}

// up rounds n up to a multiple of quantum.
func up(n, quantum int64) int64 { return (n + quantum - 1) / quantum * quantum }

// show writes a figure as people do.
func show(r corev1.ResourceName, n int64) string {
	switch {
	case r == corev1.ResourceCPU && n%1000 == 0:
		return fmt.Sprint(n / 1000)
	case r == corev1.ResourceCPU:
		return fmt.Sprintf("%dm", n)
	case n%gibi == 0:
		return fmt.Sprintf("%dGi", n/gibi)
	}
	return fmt.Sprintf("%dMi", up(n, mebi)/mebi)
}

// note is the comment above what the step writes: what was measured, and under
// what load.
func note(p *app.Peak) string {
	return fmt.Sprintf("Measured from its start to the end of its checks, at most: %d MiB of memory, %.2f cores, %d MiB written",
		up(p.MemoryBytes, mebi)/mebi, float64(p.MilliCPU)/1000, up(p.LayerBytes, mebi)/mebi)
}

// fix writes what the containers lack of which is known what they use.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for _, w := range a.Workloads {
		ch, err := chosen(a, w)
		if err != nil {
			return nil, err
		}
		for c := range w.Containers() {
			if p := peakOf(a, c); p != nil {
				edits = append(edits, fixContainer(c, p, ch)...)
			}
		}
	}
	return edits, nil
}

// chosen reads what road.yaml chooses for w.
func chosen(a *app.App, w *app.Workload) (choice, error) {
	var ch choice
	if err := a.Config.Choice(name, w, &ch); err != nil {
		return ch, err
	}
	for _, r := range resources {
		text := ch.of(r)
		if q, err := resource.ParseQuantity(text); text != "" && (err != nil || q.Sign() <= 0) {
			return ch, fmt.Errorf("%s: steps: %s: %s: %s %q is not an amount", a.Config.File, name, w.Name, r, text)
		}
	}
	return ch, nil
}

// fixContainer gives the edits of one container; what it has stays.
func fixContainer(c *app.Container, p *app.Peak, ch choice) []edit.Edit {
	l := lackOf(c)
	var requests, limits edit.Map
	for _, r := range l.requests {
		requests = append(requests, edit.Field{Key: string(r), Value: requestFor(r, p, limitFor(c, r, p, ch))})
	}
	for _, r := range l.limits {
		limits = append(limits, edit.Field{Key: string(r), Value: limitFor(c, r, p, ch)})
	}
	var edits []edit.Edit
	comment := note(p)
	set := func(v any, path ...any) {
		edits = append(edits, edit.Edit{File: c.Workload.File, Set: &edit.Set{Doc: c.Workload.Doc, Path: c.Path.Join(path...), Value: v, Comment: comment}})
		comment = ""
	}
	have := c.Spec.Resources
	if len(have.Requests)+len(have.Limits)+len(have.Claims) == 0 && len(requests) > 0 && len(limits) > 0 {
		set(edit.Map{{Key: "requests", Value: requests}, {Key: "limits", Value: limits}}, "resources")
		return edits
	}
	for _, part := range []struct {
		key  string
		add  edit.Map
		have corev1.ResourceList
	}{{"requests", requests, have.Requests}, {"limits", limits, have.Limits}} {
		if len(part.add) > 0 && len(part.have) == 0 {
			set(part.add, "resources", part.key)
			continue
		}
		for _, f := range part.add {
			set(f.Value, "resources", part.key, f.Key)
		}
	}
	return edits
}
