package walk

import (
	"slices"
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
)

const guarded = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
`

// What only one workload may reach is asked as that one, also of an application that
// nobody has seen run.
func TestCaller(t *testing.T) {
	const files = `apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  selector: {app: db}
  ports: [{port: 8080}]
`
	for name, c := range map[string]struct{ policy, want string }{
		"nobody holds it":     {"", ""},
		"one may":             {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}}]\n    ports: [{port: 8080}]\n", "deployment/job"},
		"another port":        {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}}]\n    ports: [{port: 9090}]\n", ""},
		"all of its port":     {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}}]\n    ports: [{port: 8000, endPort: 9000}]\n", "deployment/job"},
		"everyone may":        {guarded + "  - from: [{podSelector: {}}]\n", ""},
		"everyone may, too":   {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}}]\n  - {}\n", ""},
		"users may, too":      {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}}, {podSelector: {matchLabels: {user: x}}}]\n", "deployment/job"},
		"others may, too":     {guarded + "  - from: [{namespaceSelector: {matchLabels: {a: b}}}]\n  - from: [{podSelector: {matchLabels: {app: job}}}]\n", "deployment/job"},
		"a port by its name":  {guarded + "  - from: [{podSelector: {matchLabels: {app: db}}}]\n    ports: [{port: other}]\n  - from: [{podSelector: {matchLabels: {app: job}}}]\n    ports: [{port: 8080}]\n", "deployment/job"},
		"another protocol":    {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}}]\n    ports: [{port: 8080, protocol: UDP}]\n", ""},
		"all namespaces may":  {guarded + "  - from: [{namespaceSelector: {}}]\n", ""},
		"another namespace's": {guarded + "  - from: [{podSelector: {matchLabels: {app: job}}, namespaceSelector: {}}]\n", ""},
		"the world may":       {guarded + "  - from: [{ipBlock: {cidr: 0.0.0.0/0}}]\n", ""},
	} {
		a, err := app.LoadFiles("test", map[string][]byte{"db.yaml": []byte(manifest("db")), "job.yaml": []byte(manifest("job")),
			"service.yaml": []byte(files), "policy.yaml": []byte(c.policy)})
		if err != nil {
			t.Fatal(err)
		}
		checks := inferred(a)
		if len(checks) != 1 || checks[0].From.Workload != c.want {
			t.Errorf("%s: %+v, want it asked as %q", name, checks, c.want)
		}
	}
}

// The containers of a pod share files, so what acts in them acts one after another.
func TestByPod(t *testing.T) {
	of := func(w, c string) sandbox.Target { return sandbox.Target{Workload: w, Container: c} }
	got := byPod([]sandbox.Target{of("a", "1"), of("b", "1"), of("a", "2")})
	want := [][]sandbox.Target{{of("a", "1"), of("a", "2")}, {of("b", "1")}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v", got)
	}
}
