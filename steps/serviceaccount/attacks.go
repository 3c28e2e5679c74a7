package serviceaccount

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: what every pod knows of its cluster unless it says
// that it does not care.
var attacks = []step.Attack{
	{
		Name:      "steal-token",
		Goal:      "read the pod's token and talk to the cluster's API as its service account",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside, sandbox.NetworkPolicy},
		Run:       stealToken,
	},
	{
		Name:      "list-services-from-env",
		Goal:      "learn the addresses of the namespace's services without asking anybody",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside},
		Run:       listServices,
	},
}

// tokenFile is where every client of the API finds the pod's token.
const tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

// stealToken reads the token and calls the API with it. Whose it is stands in it,
// signed; the token itself stays out of the evidence.
func stealToken(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	var file probe.ReadResult
	err := s.Foothold.Code(ctx, probe.Read, probe.ReadArgs{Path: tokenFile}, &file)
	if line := step.Missing(err); line != "" {
		return step.Outcome{Verdict: step.Blocked, Evidence: "read: " + line}, nil
	}
	if line := step.Denied(err); line != "" {
		return step.Outcome{Verdict: step.Blocked, Evidence: "read: " + line}, nil
	}
	if err != nil {
		return step.Outcome{}, err
	}
	subject, read, err := judgeToken(string(file.Data), time.Now())
	if err != nil {
		return step.Outcome{}, err
	}
	out, err := callAPI(ctx, s, strings.TrimSpace(string(file.Data)), subject)
	if err != nil {
		return out, err
	}
	out.Evidence = "read: " + read + "\n" + out.Evidence
	return out, nil
}

// claims are what counts of a token's content.
type claims struct {
	Subject    string `json:"sub"`
	Expires    int64  `json:"exp"`
	Kubernetes struct {
		Pod struct {
			Name string `json:"name"`
		} `json:"pod"`
	} `json:"kubernetes.io"`
}

// judgeToken says whose token it is, and whether it holds.
func judgeToken(token string, now time.Time) (subject, evidence string, err error) {
	parts := strings.Split(strings.TrimSpace(token), ".")
	if len(parts) != 3 {
		return "", "", fmt.Errorf("%s holds %d bytes, and no token", tokenFile, len(token))
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", tokenFile, err)
	}
	var c claims
	if err := json.Unmarshal(content, &c); err != nil {
		return "", "", fmt.Errorf("%s: %w", tokenFile, err)
	}
	if !strings.HasPrefix(c.Subject, "system:serviceaccount:") || strings.Count(c.Subject, ":") != 3 {
		return "", "", fmt.Errorf("%s is %q's, no service account's", tokenFile, c.Subject)
	}
	left := time.Unix(c.Expires, 0).Sub(now).Round(time.Minute)
	if left <= 0 {
		return "", "", errors.New("the token holds no longer")
	}
	return c.Subject, fmt.Sprintf("%s: the token of %s, pod %s, good for %s more", tokenFile, c.Subject, c.Kubernetes.Pod.Name, left), nil
}

// listServices looks for the variables that the kubelet sets for each service.
func listServices(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	c := step.Container(s)
	if c == nil {
		return step.Outcome{}, fmt.Errorf("%s has no container %q", s.Target.Workload, s.Target.Container)
	}
	var env []string
	if err := s.Foothold.Code(ctx, probe.Environ, nil, &env); err != nil {
		return step.Outcome{}, err
	}
	own := map[string]bool{}
	for _, v := range c.Spec.Env {
		own[v.Name] = true
	}
	return judgeVariables(env, own), nil
}

// judgeVariables finds the addresses of services that the manifest did not ask
// for. Those of the API itself are always there and count for nothing.
func judgeVariables(env []string, own map[string]bool) step.Outcome {
	var found, api []string
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case !strings.HasSuffix(name, "_SERVICE_HOST") || own[name]:
		case name == "KUBERNETES_SERVICE_HOST":
			api = append(api, e)
		default:
			found = append(found, e)
		}
	}
	if len(found) > 0 {
		return step.Outcome{Verdict: step.Succeeded, Evidence: strings.Join(found, "\n")}
	}
	evidence := fmt.Sprintf("%d variables, none of another service", len(env))
	if len(api) > 0 {
		evidence += "; always there: " + strings.Join(api, ", ")
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: evidence}
}
