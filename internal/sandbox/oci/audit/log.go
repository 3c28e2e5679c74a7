package audit

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Call is one system call by its number.
type Call struct {
	Arch   uint32 // AUDIT_ARCH_*
	Number int
}

// A Log is what containers called between Begin and End. Its methods may be
// called from several goroutines.
type Log struct {
	f     *os.File
	ended chan struct{} // closed when nothing is read any more

	mu    sync.Mutex
	names map[uint32]string // by session
	calls map[string]map[Call]bool
	lost  string // why it is not whole; "" while it is

	from  uint64          // serial number of the record that it begins with
	next  uint64          // all before it have come
	ahead map[uint64]bool // those behind next that have come; records arrive out of order

	marks map[uint32]chan uint64 // serial numbers of records of our own making, by session
}

// farAhead ends the counting: what lies so far back never comes.
const farAhead = 1 << 20

// patience is how long a record of our own making may take, and how long those
// before it may stay away after it has come.
const (
	patience = 5 * time.Second
	straggle = 500 * time.Millisecond
)

// Begin begins a Log, from a record of our own making on: so it is known that
// records come at all. in calls its argument in the host's network namespace.
func Begin(ctx context.Context, in func(func() error) error) (*Log, error) {
	f, err := open(in)
	if err != nil {
		return nil, err
	}
	l := &Log{f: f, ended: make(chan struct{}), names: map[uint32]string{}, calls: map[string]map[Call]bool{},
		ahead: map[uint64]bool{}, marks: map[uint32]chan uint64{}}
	go l.read()
	serial, err := l.mark(ctx)
	if err != nil {
		l.close()
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from, l.next = serial, serial+1
	for n := range l.ahead {
		if n <= serial {
			delete(l.ahead, n)
		}
	}
	l.advance()
	return l, nil
}

// close ends the reading.
func (l *Log) close() {
	l.f.Close()
	<-l.ended
}

// Own has the records of a session count as name's. It must be called before the
// session's first call.
func (l *Log) Own(session uint32, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names[session] = name
}

// End ends the Log and gives what each name called. The error says that records
// were lost: nothing can be said then.
func (l *Log) End(ctx context.Context) (map[string][]Call, error) {
	defer l.close()
	serial, err := l.mark(ctx)
	if err != nil {
		return nil, err
	}
	for late := time.Now().Add(straggle); l.behind(serial) && time.Now().Before(late) && ctx.Err() == nil; {
		time.Sleep(5 * time.Millisecond)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == "" && l.next <= serial {
		l.lost = fmt.Sprintf("of the numbers %d to %d some never came, the first %d", l.from, serial, l.next)
	}
	if l.lost != "" {
		return nil, fmt.Errorf("audit records were lost: %s", l.lost)
	}
	out := map[string][]Call{}
	for name, calls := range l.calls {
		for c := range calls {
			out[name] = append(out[name], c)
		}
	}
	return out, nil
}

// behind says whether records up to serial are still missing.
func (l *Log) behind(serial uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost == "" && l.next <= serial
}

// add takes one record. The lock is held.
func (l *Log) add(r record) {
	if r.serial >= l.next && l.lost == "" {
		l.ahead[r.serial] = true
		if len(l.ahead) > farAhead {
			l.lost, l.ahead = "too many came out of order", nil
		}
		if l.from > 0 {
			l.advance()
		}
	}
	if !r.seccomp || r.action != unix.SECCOMP_RET_LOG {
		return
	}
	if m := l.marks[r.session]; m != nil {
		delete(l.marks, r.session)
		m <- r.serial
		return
	}
	name, ours := l.names[r.session]
	if !ours {
		return
	}
	if l.calls[name] == nil {
		l.calls[name] = map[Call]bool{}
	}
	l.calls[name][r.call] = true
}

func (l *Log) advance() {
	for l.ahead[l.next] {
		delete(l.ahead, l.next)
		l.next++
	}
}

// mark makes a record of our own and waits for it.
func (l *Log) mark(ctx context.Context) (serial uint64, err error) {
	came := make(chan uint64, 1)
	ready := func(session uint32) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.marks[session] = came
	}
	if err := makeRecord(ready); err != nil {
		return 0, err
	}
	select {
	case serial := <-came:
		return serial, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-l.ended:
		return 0, fmt.Errorf("the audit channel was closed")
	case <-time.After(patience):
		return 0, fmt.Errorf("the kernel sent no audit record of a logged system call within %s (kernel.seccomp.actions_logged must name log, and no audit rule may exclude SECCOMP)", patience)
	}
}
