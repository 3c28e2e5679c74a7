package admission

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"strings"
)

// A process is one run of the program.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said lastWords
}

func start(program string) (*process, error) {
	p := &process{cmd: exec.Command(program)}
	p.cmd.Stderr = &p.said
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) exchange(line []byte) (a Answer, err error) {
	if _, err = p.in.Write(append(line, '\n')); err != nil {
		return a, err
	}
	if line, err = p.out.ReadBytes('\n'); err != nil {
		return a, err
	}
	return a, json.Unmarshal(line, &a)
}

// end kills the process. What it said is whole from then on.
func (p *process) end() {
	p.in.Close()
	p.cmd.Process.Kill() // it may have ended by itself
	p.cmd.Wait()         // killed: its status says nothing
}

// lastWords keeps the end of what is written to it.
type lastWords struct{ kept []byte }

// lastWordsLimit is in bytes: enough for the trace of a Go program's panic.
const lastWordsLimit = 16 << 10

// Write takes some more.
func (l *lastWords) Write(b []byte) (int, error) {
	l.kept = append(l.kept, b...)
	l.kept = l.kept[max(0, len(l.kept)-lastWordsLimit):]
	return len(b), nil
}

// String gives the last three lines, or the word of a panic, which has its trace
// behind it.
func (l *lastWords) String() string {
	lines := strings.Split(strings.TrimSpace(string(l.kept)), "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return line
		}
	}
	return strings.Join(lines[max(0, len(lines)-3):], "\n")
}
