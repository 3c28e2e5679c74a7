package serviceaccount

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// caFile is where every client of the API finds whom to trust.
const caFile = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

// quiet is how long the API may take to answer; it takes milliseconds.
const quiet = time.Second

// callAPI asks the cluster's API with a stolen token for the secrets of the
// account's namespace, from inside the container and over TLS, trusting whom the
// application trusts. An answer that names the account is enough: the token is
// good, whatever the account may do.
func callAPI(ctx context.Context, s *sandbox.Scene, token, subject string) (step.Outcome, error) {
	addr, err := apiAddr(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	var ca probe.ReadResult
	if err := s.Foothold.Code(ctx, probe.Read, probe.ReadArgs{Path: caFile}, &ca); err != nil {
		return step.Outcome{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Data) {
		return step.Outcome{}, fmt.Errorf("%s holds no certificate", caFile)
	}
	web := &http.Client{Transport: &http.Transport{
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			return step.Through(ctx, s.Foothold, addr, quiet)
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
	parts := strings.Split(subject, ":")
	path := "/api/v1/namespaces/" + parts[2] + "/secrets"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+path, nil)
	if err != nil {
		return step.Outcome{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	before := asked(s)
	resp, err := web.Do(req)
	if err != nil {
		return judgeSilence(err, addr, asked(s)-before)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return step.Outcome{}, err
	}
	return judgeAnswer(resp.StatusCode, body, "GET "+path, subject)
}

// asked is how often the API was, as its log has it; 0 where nobody keeps one.
func asked(s *sandbox.Scene) int {
	if s.Control == nil {
		return 0
	}
	return len(s.Control.Log(sandbox.API))
}

// judgeSilence says what a call that failed means: blocked is only one whose
// connection did not come about, while the API saw nothing of it.
func judgeSilence(err error, addr string, seen int) (step.Outcome, error) {
	line := step.Unanswered(err)
	if line == "" || seen > 0 {
		return step.Outcome{}, fmt.Errorf("call the API at %s, whose log has %d lines of it: %w", addr, seen, err)
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: "call: " + line + "\nthe API server's log is empty"}, nil
}

// judgeAnswer says whether the API knew who called.
func judgeAnswer(code int, body []byte, request, subject string) (step.Outcome, error) {
	var status struct {
		Message string `json:"message"`
	}
	switch {
	case code == http.StatusOK:
		return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("call: %s: 200 OK, as %s", request, subject)}, nil
	case json.Unmarshal(body, &status) != nil:
		return step.Outcome{}, fmt.Errorf("%s: %d and no Status", request, code)
	case code == http.StatusForbidden && strings.Contains(status.Message, fmt.Sprintf("%q", subject)):
		return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("call: %s: 403 %s", request, status.Message)}, nil
	}
	return step.Outcome{}, fmt.Errorf("%s: the API does not know the token: %d %s", request, code, status.Message)
}

// apiAddr gives the API's address, as every pod has it in its environment.
func apiAddr(ctx context.Context, s *sandbox.Scene) (string, error) {
	var env []string
	if err := s.Foothold.Code(ctx, probe.Environ, nil, &env); err != nil {
		return "", err
	}
	var host, port string
	for _, e := range env {
		switch name, value, _ := strings.Cut(e, "="); name {
		case "KUBERNETES_SERVICE_HOST":
			host = value
		case "KUBERNETES_SERVICE_PORT":
			port = value
		}
	}
	if host == "" || port == "" {
		return "", errors.New("the environment does not say where the API is")
	}
	return net.JoinHostPort(host, port), nil
}
