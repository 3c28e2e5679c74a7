package main

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"road/steps"
)

// A trial is what a chapter tells its reader to type, and what comes back.
type trial struct {
	up    []string // the arguments of road
	lines []typed
}

type typed struct{ command, answer string }

// tryIt finds the block under "Try it yourself" in an explanation; the trial is
// empty where there is none.
func tryIt(explain string) (tr trial, err error) {
	_, rest, _ := strings.Cut(explain, "\n## Try it yourself\n")
	_, rest, ok := strings.Cut(rest, "\n```console\n")
	block, _, closed := strings.Cut(rest, "```\n")
	if !ok || !closed {
		return tr, nil
	}
	for line := range strings.Lines(block) {
		command, typedLine := strings.CutPrefix(strings.TrimRight(line, "\n"), "$ ")
		switch {
		case strings.HasPrefix(command, "road up "):
			tr.up = strings.Fields(command)[1:]
		case strings.HasPrefix(command, "curl ") && typedLine:
			tr.lines = append(tr.lines, typed{command: command})
		case command == "road down":
		case typedLine || len(tr.lines) == 0:
			return tr, fmt.Errorf("neither road nor curl: %q", line)
		default:
			tr.lines[len(tr.lines)-1].answer += line
		}
	}
	if len(tr.up) == 0 || len(tr.lines) == 0 {
		return tr, fmt.Errorf("nothing to try in %q", block)
	}
	return tr, nil
}

const tryPort = "8080"

// What a reader is told to type is one word for the shell and a right address.
func TestTryItIsSafe(t *testing.T) {
	line := regexp.MustCompile(`^curl '(http://127\.0\.0\.1:` + tryPort + `/[^' ]*)'$`)
	found := 0
	for _, s := range steps.All {
		tr, err := tryIt(s.Explain)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		for _, l := range tr.lines {
			found++
			m := line.FindStringSubmatch(l.command)
			if m == nil {
				t.Errorf("%s: %s", s.Name, l.command)
				continue
			}
			if u, err := url.Parse(m[1]); err != nil || strings.ContainsAny(u.RawQuery, " \"<>`;$|\\") {
				t.Errorf("%s: %s: %v", s.Name, l.command, err)
			}
		}
	}
	if found < 5 {
		t.Errorf("%d lines to try on the whole road", found)
	}
}

// What a reader is told to type gives the answers that the chapters show; numbers
// may differ.
func TestSandboxTryIt(t *testing.T) {
	program := road(t)
	for _, s := range steps.All {
		tr, err := tryIt(s.Explain)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if len(tr.lines) == 0 {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			port := freePort(t)
			up(t, program, tr.up, port)
			for _, l := range tr.lines {
				command := strings.Replace(l.command, ":"+tryPort, ":"+port, 1)
				out, err := exec.Command("sh", "-c", strings.Replace(command, "curl ", "curl -s ", 1)).CombinedOutput()
				if err != nil || plain(string(out)) != plain(l.answer) {
					t.Errorf("%s\n%s\nthe chapter says\n%s\n%v", command, out, l.answer, err)
				}
			}
		})
	}
}

// up runs the application in the foreground until the test ends.
func up(t *testing.T, program string, args []string, port string) {
	t.Helper()
	var own []string
	for _, a := range args {
		if a == tryPort {
			a = port
		}
		if a != "-d" { // so that only this run is ended
			own = append(own, a)
		}
	}
	cmd := exec.Command(program, own...)
	cmd.Dir = t.TempDir()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(4*time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		cmd.Wait()
		end.Stop()
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "http://127.0.0.1:"+port) {
		t.Fatalf("%s: %q %v\n%s", cmd, line, err, stderr.String())
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

var numbers = regexp.MustCompile(`[0-9]+'th|[0-9]{6,}`)

// plain is an answer without its count of visits, and without ids of the node.
func plain(s string) string {
	return numbers.ReplaceAllString(strings.TrimSpace(s), "N")
}
