package pod

import (
	"path/filepath"
	"time"
)

// How often a container is measured. A program's first allocations come within
// milliseconds; the processor is counted over the period of its own limit.
const (
	measureEvery = 20 * time.Millisecond
	cpuWindow    = cpuPeriod * time.Microsecond
)

// A Peak is the most that a container used at once.
type Peak struct {
	Memory int64 // bytes of anonymous memory; the page cache, which the kernel takes back when it has to, is not in it
	CPU    int64 // thousandths of a core, over 100 ms
}

// use reads what a group uses now: anonymous memory, and processor time so far.
// Both are sums with the groups below it. Not ok means that the group is gone.
func (g podCgroup) use() (anon int64, cpu time.Duration, ok bool) {
	if g.unified {
		used, _ := readKey(filepath.Join(g.dir(""), "cpu.stat"), "usage_usec")
		anon, ok = readKey(filepath.Join(g.dir(""), "memory.stat"), "anon")
		return anon, time.Duration(used) * time.Microsecond, ok
	}
	cpu = time.Duration(readNumber(filepath.Join(g.dir("cpuacct"), "cpuacct.usage")))
	anon, ok = readKey(filepath.Join(g.dir("memory"), "memory.stat"), "total_rss")
	return anon, cpu, ok
}

// A gauge measures one run of a container.
type gauge struct {
	run  *attempt
	cpu  time.Duration // used at the beginning of the window
	from time.Time     // just before that was read; zero before the first
	peak Peak
}

// read takes one more measure and says whether the peak rose.
func (m *gauge) read() bool {
	begun := time.Now()
	anon, cpu, ok := m.run.cgroup.use()
	if !ok {
		return false
	}
	return m.add(begun, time.Now(), anon, cpu)
}

// add takes a measure that was read at some moment between two, which lie far
// apart on a machine whose processors are taken: what was used is spread over the
// longest time that it may have taken, or a reader who was kept waiting would make
// a peak of it.
func (m *gauge) add(begun, over time.Time, anon int64, cpu time.Duration) bool {
	was := m.peak
	m.peak.Memory = max(m.peak.Memory, anon)
	switch span := over.Sub(m.from); {
	case m.from.IsZero():
		m.cpu, m.from = cpu, begun
	case span >= cpuWindow:
		m.peak.CPU = max(m.peak.CPU, int64((cpu-m.cpu)*1000/span))
		m.cpu, m.from = cpu, begun
	}
	return m.peak != was
}

// measure tells Options.Measure the peaks of every container while the pod
// lives. What a run does before its first measure, a few milliseconds after its
// start, is not seen.
func (p *Pod) measure() {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	gauges := make([]gauge, len(p.all))
	for {
		for i, c := range p.all {
			a := c.current()
			if a == nil {
				continue
			}
			g := &gauges[i]
			first := g.run == nil
			if g.run != a {
				*g = gauge{run: a, peak: g.peak}
			}
			if g.read() || first {
				p.o.Measure(c.spec.Name, g.peak)
			}
		}
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
	}
}

// LayerBytes gives the bytes that lie in a container's writable layer now, and
// those that lay there when its earlier runs ended.
func (p *Pod) LayerBytes(name string) (int64, error) {
	c, err := p.container(name)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	sum, a := c.past.bytes, c.run
	c.mu.Unlock()
	if a != nil {
		_, n := a.written()
		sum += n
	}
	return sum, nil
}
