package networkpolicy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// What the probe says of a dropped and of a refused call.
var (
	silence = &probe.Error{Op: "connect", Path: "10.0.0.1:80", Errno: int(syscall.ETIMEDOUT), Message: "Connection timed out"}
	denied  = &probe.Error{Op: "socket", Errno: int(syscall.EPERM), Message: "Operation not permitted"}
	reset   = &probe.Error{Op: "connect", Path: "10.0.0.1:80", Errno: int(syscall.ECONNREFUSED), Message: "Connection refused"}
)

// expect fails t unless out is a verdict with evidence that holds part, or,
// where want is "", err says why there is none.
func expect(t *testing.T, out step.Outcome, err error, want step.Verdict, part string) {
	t.Helper()
	if want == "" {
		if err == nil || out.Verdict != "" {
			t.Errorf("got %+v, %v; want an error alone", out, err)
		}
		return
	}
	if err != nil || out.Verdict != want || !strings.Contains(out.Evidence, part) {
		t.Errorf("got %s %q, %v; want %s %q", out.Verdict, out.Evidence, err, want, part)
	}
}

func TestJudgeCredentials(t *testing.T) {
	const body = `{"AccessKeyId": "A", "SecretAccessKey": "hush"}`
	const late = `Get "http://169.254.169.254/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`
	asked := []string{"GET " + secretPath + " 200"}
	for _, c := range []struct {
		name, body string
		journal    []string
		want       step.Verdict
		evidence   string
	}{
		{"given", body, asked, step.Succeeded, "security-credentials/road 200"},
		{"nothing came back", late, nil, step.Blocked, "context deadline exceeded"},
		{"came back from elsewhere", body, nil, "", ""},
		{"asked, and no answer", late, asked, "", ""},
		{"refused", "connect: connection refused", nil, "", ""},
		{"another answer", "404 page not found", []string{"GET / 404"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := judgeCredentials(c.body, c.journal)
			expect(t, out, err, c.want, c.evidence)
			if strings.Contains(out.Evidence, "hush") {
				t.Errorf("the evidence holds the secret: %s", out.Evidence)
			}
		})
	}
}

// TestOnlySilenceIsBlocked has no refusal, no probe that went away or did not
// start, and no time that was over for the attack itself count as blocked.
func TestOnlySilenceIsBlocked(t *testing.T) {
	for _, c := range []struct {
		err  error
		want step.Verdict
	}{
		{silence, step.Blocked},
		{denied, step.Blocked},
		{&noAnswer{os.ErrDeadlineExceeded}, step.Blocked},
		{context.DeadlineExceeded, ""},
		{fmt.Errorf("the probe could not start: %w", context.DeadlineExceeded), ""},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, ""},
		{&probe.Error{Op: "read", Errno: int(syscall.ETIMEDOUT), Message: "Connection timed out"}, ""},
		{reset, ""},
		{probe.ErrEnded, ""},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, ""},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, ""},
	} {
		out, err := dropped(c.err, "nobody saw it")
		expect(t, out, err, c.want, "nobody saw it")
	}
}

// A late host answers nothing; err, where it is set, at once.
type late struct {
	sandbox.Host
	err error
}

func (l late) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	if l.err != nil {
		return nil, l.err
	}
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
}

// TestCall has only the silence of who was called be one.
func TestCall(t *testing.T) {
	_, err := call(t.Context(), late{}, "10.0.0.1:80")
	if out, err := dropped(err, "nobody saw it"); err != nil || out.Verdict != step.Blocked {
		t.Errorf("silence: %+v, %v", out, err)
	}
	over, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err = call(over, late{}, "10.0.0.1:80")
	if out, err := dropped(err, "nobody saw it"); err == nil {
		t.Errorf("the attack's own time: %+v", out)
	}
	_, err = call(t.Context(), late{err: &net.DNSError{Err: "timeout", IsTimeout: true}}, "db:80")
	if out, err := dropped(err, "nobody saw it"); err == nil {
		t.Errorf("a name server: %+v", out)
	}
}

// A resolver loses questions, and tells the name server of the others.
type resolver struct {
	sandbox.Foothold
	sandbox.Control
	lost  int
	asked []string
}

func (r *resolver) Code(_ context.Context, _ string, args, _ any) error {
	if r.lost--; r.lost >= 0 {
		return &probe.Error{Op: "read", Path: "10.96.0.10:53", Errno: int(syscall.ETIMEDOUT), Message: "Connection timed out"}
	}
	r.asked = append(r.asked, args.(probe.ResolveArgs).Name)
	return nil
}

func (r *resolver) Log(sandbox.StandIn) []string { return r.asked }

// TestLostQuestion has a question that was lost not make the tunnel blocked.
func TestLostQuestion(t *testing.T) {
	for lost, want := range map[int]step.Verdict{tries - 1: step.Succeeded, tries: step.Blocked} {
		r := &resolver{lost: lost}
		out, err := dnsTunnel(t.Context(), &sandbox.Scene{Foothold: r, Control: r})
		expect(t, out, err, want, "name server was")
	}
}

// TestWholeLine has the last line of an answer come whole, so that a secret that
// is cut in two is not shown.
func TestWholeLine(t *testing.T) {
	long := strings.Repeat("x", 299) + "secret"
	if got := lastLine("first\n" + long + "\n\n"); got != long {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestJudgeScan(t *testing.T) {
	two := []place{{"a neighbour", "10.0.0.1:80", "10.0.0.9"}, {"service db", "10.0.0.2:81", ""}}
	out, err := judgeScan(two, []error{nil, silence})
	expect(t, out, err, step.Succeeded, "a neighbour at 10.0.0.1:80 was called from 10.0.0.9")
	out, err = judgeScan(two, []error{silence, nil})
	expect(t, out, err, step.Succeeded, "service db at 10.0.0.2:81 answers")
	out, err = judgeScan(two, []error{silence, silence})
	expect(t, out, err, step.Blocked, "Connection timed out")
	out, err = judgeScan(two, []error{silence, denied})
	expect(t, out, err, step.Blocked, "Operation not permitted")
	out, err = judgeScan(two, []error{silence, reset})
	expect(t, out, err, "", "")
}

// TestKnocked has only the neighbour's own word count: what the probe says of a
// call that nobody heard is no evidence, and what was heard needs no other.
func TestKnocked(t *testing.T) {
	const word = "knock 1"
	late, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		name   string
		ctx    context.Context
		heard  []line
		err    error // the probe's
		caller string
		want   error
	}{
		{"heard", t.Context(), []line{{word, "10.0.0.9"}}, nil, "10.0.0.9", nil},
		{"heard, and the caller does not know", t.Context(), []line{{word, "10.0.0.9"}}, silence, "10.0.0.9", nil},
		{"dropped", t.Context(), nil, silence, "", silence},
		{"somebody else", t.Context(), []line{{"hello", "10.0.0.7"}}, nil, "", errors.New(`the neighbour heard "hello" from 10.0.0.7`)},
		{"given up", late, nil, nil, "", context.Canceled},
	} {
		heard := make(chan line, 1)
		for _, l := range c.heard {
			heard <- l
		}
		caller, err := knocked(c.ctx, heard, word, c.err)
		if caller != c.caller || fmt.Sprint(err) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, caller, err, c.caller, c.want)
		}
	}
}

// A keeper is a data store in memory: enough of the Redis protocol.
type keeper struct {
	password string
	data     map[string]string
}

func (k *keeper) exchange(send []byte) ([]byte, error) {
	in := bufio.NewReader(bytes.NewReader(send))
	var out bytes.Buffer
	in2 := k.password == ""
	for {
		c, err := decode(in, 0)
		if err != nil {
			return out.Bytes(), nil
		}
		var argv []string
		for _, a := range c.([]any) {
			argv = append(argv, a.(string))
		}
		switch {
		case argv[0] == "AUTH":
			if in2 = argv[1] == k.password; in2 {
				out.WriteString("+OK\r\n")
			} else {
				out.WriteString("-WRONGPASS invalid username-password pair\r\n")
			}
		case !in2:
			out.WriteString("-NOAUTH Authentication required.\r\n")
		case argv[0] == "SCAN":
			fmt.Fprintf(&out, "*2\r\n$1\r\n0\r\n*%d\r\n", len(k.data))
			for _, key := range sortedKeys(k.data) {
				fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(key), key)
			}
		case argv[0] == "GET" && k.data[argv[1]] == "(list)":
			out.WriteString("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")
		case argv[0] == "GET":
			fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(k.data[argv[1]]), k.data[argv[1]])
		case argv[0] == "INCRBY", argv[0] == "INCR":
			by := 1
			if len(argv) > 2 {
				by, _ = strconv.Atoi(argv[2])
			}
			n, _ := strconv.Atoi(k.data[argv[1]])
			k.data[argv[1]] = strconv.Itoa(n + by)
			fmt.Fprintf(&out, ":%d\r\n", n+by)
		case argv[0] == "DEL":
			delete(k.data, argv[1])
			out.WriteString(":1\r\n")
		case argv[0] == "QUIT":
			out.WriteString("+OK\r\n")
			return out.Bytes(), nil
		}
	}
}

func TestChange(t *testing.T) {
	k := &keeper{"right", map[string]string{"a": "(list)", "b": "text", "counter": "41"}}
	got, err := change([]string{"wrong", "right"}, k.exchange)
	if want := `"counter" was 41 and is 1041`; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	// Where nothing is a number, one is written and taken out again.
	k.data = map[string]string{"b": "text"}
	got, err = change([]string{"right"}, k.exchange)
	if err != nil || !strings.Contains(got, "was nothing and was 1") || len(k.data) != 1 {
		t.Errorf("%q, %v, %v", got, err, k.data)
	}
	// A wrong password is no success, and no silence.
	_, err = change([]string{"wrong"}, k.exchange)
	out, err := unreached(t.Context(), "db:6379", err)
	expect(t, out, err, "", "")
	// One that needs none.
	k.password = ""
	if _, err := change(nil, k.exchange); err != nil {
		t.Error(err)
	}
	// No connection.
	_, err = change([]string{"right"}, func([]byte) ([]byte, error) { return nil, silence })
	out, err = unreached(t.Context(), "db:6379", err)
	expect(t, out, err, step.Blocked, "db:6379")
}

func TestDecode(t *testing.T) {
	for _, bad := range []string{"", "\r\n", "HTTP/1.1 400 Bad Request\r\n", "$x\r\n", "$5\r\nabc", "*2\r\n:1\r\n", "$99999999999\r\n", strings.Repeat("*1\r\n", 20)} {
		if v, err := decode(bufio.NewReader(strings.NewReader(bad)), 0); err == nil {
			t.Errorf("%q is %v", bad, v)
		}
	}
	v, err := decode(bufio.NewReader(strings.NewReader("$-1\r\n")), 0)
	if v != nil || err != nil {
		t.Errorf("nothing is %v, %v", v, err)
	}
	v, _ = decode(bufio.NewReader(strings.NewReader("-ERR no\r\n")), 0)
	var no replyError
	if err, ok := v.(error); !ok || !errors.As(err, &no) {
		t.Errorf("an error is %v", v)
	}
}

// A nameless host gets no answer from its name server; what it calls by address
// refuses it, or serves it a data store without a password.
type nameless struct {
	sandbox.Host
	answers bool
}

func (n nameless) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	if addr != "10.0.0.5:6379" {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: addr, IsTimeout: true}}
	}
	if !n.answers {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	}
	return nil, errors.New("it was called")
}

// TestStrangerWithoutNames calls the data store by its address where no name can be
// asked for: that nothing answers there is the policy's work.
func TestStrangerWithoutNames(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"s.yaml": []byte("apiVersion: v1\nkind: Service\nmetadata: {name: redis}\nspec: {selector: {app: redis}, ports: [{port: 6379}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: redis, labels: {app: redis}}\nspec: {containers: [{name: c, image: i}]}\n")})
	if err != nil {
		t.Fatal(err)
	}
	for _, answers := range []bool{false, true} {
		s := &sandbox.Scene{App: a, Foothold: foothold{}, Neighbour: nameless{answers: answers}, Services: func(string) (string, bool) { return "10.0.0.5", true }}
		out, err := redisFromAStranger(t.Context(), s)
		if !answers && (err != nil || out.Verdict != step.Blocked || !strings.Contains(out.Evidence, "10.0.0.5:6379")) || answers && (err == nil || !strings.Contains(err.Error(), "it was called")) {
			t.Errorf("answers %v: %+v, %v", answers, out, err)
		}
	}
}

// A foothold tells nothing.
type foothold struct{ sandbox.Foothold }

func (foothold) Code(context.Context, string, any, any) error { return nil }
