package walk

import (
	"fmt"
	"sync"

	"road/internal/sandbox"
	"road/internal/step"
)

// A key names one attack on one target; attack names are told apart over the
// whole road.
type key struct {
	attack string
	target sandbox.Target
}

// A book holds what every attack itself came to, by variant. What the report
// says is judged from it: a block counts only where the same attack was seen to
// succeed on a weaker variant.
type book struct {
	mu       sync.Mutex
	stops    []int                 // in order
	at       map[int]map[key]Cell  // in sequence
	alone    map[key]Cell          // at 1.0 plus only the attack's step
	weakened map[key]Cell          // at 1.0 without the step's protection
	aloneAt  map[key]int           // where a stop is the attack's step alone: its number
	asked    *step.Step            // whose attacks alone were asked of its stop's admission; nil for none
	keys     map[string][]key      // by attack, in the order of targets
	steps    map[string]*step.Step // by attack
}

func newBook() *book {
	return &book{at: map[int]map[key]Cell{}, alone: map[key]Cell{}, weakened: map[key]Cell{}, keys: map[string][]key{},
		steps: map[string]*step.Step{}, aloneAt: map[key]int{}}
}

func (b *book) write(into map[key]Cell, k key, c Cell) {
	b.mu.Lock()
	defer b.mu.Unlock()
	into[k] = c
}

// open begins a stop; a stop whose application is that of the stop before takes
// over its cells.
func (b *book) open(stop int, same bool) map[key]Cell {
	b.mu.Lock()
	defer b.mu.Unlock()
	cells := map[key]Cell{}
	if same && len(b.stops) > 0 {
		cells = b.at[b.stops[len(b.stops)-1]]
	}
	b.stops = append(b.stops, stop)
	b.at[stop] = cells
	return cells
}

// settle fills in, when all stops are over, what a step alone came to where that
// is one of them.
func (b *book) settle() {
	for k, stop := range b.aloneAt {
		c := b.at[stop][k]
		if b.asked != nil && b.steps[k.attack] == b.asked && c.Evidence != "" {
			c.Evidence += "\n(asked of admission alone: beside it 1.0's own pods do not start)"
		}
		b.alone[k] = c
	}
}

// alike notes that what an attack comes to alone is what it comes to at a stop.
func (b *book) alike(k key, stop int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.aloneAt[k] = stop
}

// uncompared says whether an attack was blocked somewhere and was not seen to
// succeed on anything weaker.
func (b *book) uncompared(k key) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	blocked := b.alone[k].Verdict == step.Blocked && !b.control(k, 2)
	for _, n := range b.stops {
		blocked = blocked || b.at[n][k].Verdict == step.Blocked && !b.control(k, n)
	}
	return blocked
}

// control says whether the attack was seen to succeed on a variant weaker than
// stop: any stop before it, or 1.0 with the protection taken away.
func (b *book) control(k key, stop int) bool {
	for _, s := range b.stops {
		if s < stop && b.at[s][k].Verdict == step.Succeeded {
			return true
		}
	}
	return b.weakened[k].Verdict == step.Succeeded
}

// judge turns what an attack said at a stop into what the report says.
func (b *book) judge(k key, c Cell, stop int) Cell {
	if c.Verdict == "" {
		c.Verdict = step.Unproven
	}
	if c.Verdict != step.Blocked || b.control(k, stop) {
		return c
	}
	c.Verdict = step.Unproven
	c.Reason = "nothing to compare: it was not seen to succeed at 1.0"
	if w, ok := b.weakened[k]; ok {
		c.Reason += ", nor with this protection taken away" + because(w)
	} else if stop > 1 {
		c.Reason += because(b.at[b.stops[0]][k])
	}
	return c
}

// because gives the reason of a cell, to be put behind a sentence.
func because(c Cell) string {
	if c.Reason == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", c.Reason)
}

// cell is what the report says of an attack at a stop.
func (b *book) cell(k key, stop int) Cell {
	c, ok := b.at[stop][k]
	if !ok {
		c = Cell{Verdict: step.Unproven, Reason: "not run", Target: targetName(k.target)}
	}
	return b.judge(k, c, stop)
}

// closedBy gives the first stop at which the attack was blocked, 0 for none.
func (b *book) closedBy(k key) int {
	for _, s := range b.stops {
		if b.cell(k, s).Verdict == step.Blocked {
			return s
		}
	}
	return 0
}

// targetName is how reports name a target.
func targetName(t sandbox.Target) string {
	return t.Workload + " container " + t.Container
}

// results gives the report on one step's attacks around a stop.
func (b *book) results(s *step.Step, stop, before int) []*AttackResult {
	var out []*AttackResult
	for i := range s.Attacks {
		a := &s.Attacks[i]
		for _, k := range b.keys[a.Name] {
			r := &AttackResult{Name: a.Name, Goal: a.Goal, Transport: a.Transport, Target: targetName(k.target), Open: a.Open,
				ClosedBy: b.closedBy(k), Before: b.cell(k, before), After: b.cell(k, stop)}
			if c, ok := b.alone[k]; ok {
				r.Alone = b.judge(k, c, 2)
			} else {
				r.Alone = Cell{Verdict: step.Unproven, Reason: "not run", Target: r.Target}
			}
			if c, ok := b.weakened[k]; ok {
				r.Weakened = &c
			}
			out = append(out, r)
		}
	}
	return out
}

// matrix gives every attack at every stop.
func (b *book) matrix(steps []planned) Matrix {
	m := Matrix{Stops: b.stops, Rows: []Row{}}
	if m.Stops == nil {
		m.Stops = []int{}
	}
	for _, p := range steps {
		for i := range p.step.Attacks {
			a := &p.step.Attacks[i]
			if len(b.keys[a.Name]) == 0 {
				continue
			}
			row := Row{Attack: a.Name, Step: p.step.Name, Open: a.Open}
			turned := 0
			for _, s := range b.stops {
				c := b.worst(a.Name, s)
				if c.Verdict == step.Blocked {
					if turned == 0 {
						turned = s
					}
					c.ClosedBy = turned
				}
				row.Cells = append(row.Cells, c.Verdict)
				row.Details = append(row.Details, c)
			}
			m.Rows = append(m.Rows, row)
		}
	}
	return m
}

// worst gives the worst cell of an attack's targets: succeeded, then unproven,
// then blocked.
func (b *book) worst(attack string, stop int) Cell {
	rank := map[step.Verdict]int{step.Blocked: 1, step.Unproven: 2, step.Succeeded: 3}
	var worst Cell
	for _, k := range b.keys[attack] {
		if c := b.cell(k, stop); rank[c.Verdict] > rank[worst.Verdict] {
			worst = c
		}
	}
	return worst
}
