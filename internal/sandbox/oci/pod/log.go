package pod

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
)

// How much of a container's output is kept: the end of it in memory, the
// beginning in a file.
const (
	logMemory = 64 << 10
	logFile   = 10 << 20
)

// A logBook takes a container's output over all its runs.
type logBook struct {
	mu     sync.Mutex
	tail   []byte
	path   string // never changed; "" for none
	closed bool   // no file is made any more
	file   *os.File
	inFile int
	copy   io.Writer
}

// Write never fails, so that a container is never held up by its log.
func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tail = append(l.tail, b...); len(l.tail) > 2*logMemory {
		l.tail = append([]byte(nil), l.tail[len(l.tail)-logMemory:]...)
	}
	if l.file == nil && l.path != "" && !l.closed {
		l.file, _ = os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	}
	if rest := logFile - l.inFile; l.file != nil && rest > 0 {
		n, _ := l.file.Write(b[:min(len(b), rest)])
		l.inFile += n
	}
	if l.copy != nil {
		l.copy.Write(b)
	}
	return len(b), nil
}

// lines gives the last n lines.
func (l *logBook) lines(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(string(bytes.TrimRight(l.tail, "\n")), "\n")
	return strings.TrimSpace(strings.Join(all[max(0, len(all)-n):], "\n"))
}

func (l *logBook) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
	}
	l.closed, l.file = true, nil
}

// Logs gives the last lines of what a container wrote, over all its runs; "" is
// every container, each line after its name.
func (p *Pod) Logs(name string, lines int) string {
	if name != "" {
		c, err := p.container(name)
		if err != nil {
			return ""
		}
		return c.log.lines(lines)
	}
	var b strings.Builder
	for _, c := range p.all {
		for _, line := range strings.Split(c.log.lines(lines), "\n") {
			if line != "" {
				b.WriteString(c.spec.Name + ": " + line + "\n")
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
