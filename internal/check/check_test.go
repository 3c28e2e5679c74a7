package check

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/step"
	"road/steps"

	"github.com/google/go-cmp/cmp"
)

// pod is a manifest of one pod with a container of each name.
func pod(name string, containers ...string) string {
	var list []string
	for _, c := range containers {
		list = append(list, "{name: "+c+", image: 'example.com/"+c+":1'}")
	}
	return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n  containers: [" + strings.Join(list, ", ") + "]\n"
}

func load(t *testing.T, files map[string]string) *app.App {
	t.Helper()
	raw := map[string][]byte{}
	for name, text := range files {
		raw[name] = []byte(text)
	}
	a, err := app.LoadFiles("shop", raw)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func run(t *testing.T, a *app.App, o Options) *Report {
	t.Helper()
	o.Steps = steps.All
	if o.Chosen == nil {
		o.Chosen = func(_ int, name string) bool { return name == "no-escalation" || name == "non-root" }
	}
	r, err := Run(a, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An exception holds through its last day in UTC, and not a moment longer.
func TestExceptionEnds(t *testing.T) {
	a := load(t, map[string]string{
		"road.yaml": "apiVersion: road/v1\nexceptions:\n- {step: non-root, workload: web, reason: because, until: 2027-01-31}\n",
		"web.yaml":  pod("web", "web")})
	day := time.Date(2027, 1, 31, 23, 59, 59, 0, time.UTC)
	for _, c := range []struct {
		now   time.Time
		count int
	}{{day, 0}, {day.Add(time.Second), 1}, {day.In(time.FixedZone("east", 12*3600)), 0}} {
		r := run(t, a, Options{Now: c.now, Chosen: func(_ int, name string) bool { return name == "non-root" }})
		if len(r.Findings) != c.count || len(r.Excepted) != 1-c.count {
			t.Errorf("at %s %d count, want %d", c.now, len(r.Findings), c.count)
		}
		if r.Workloads[0].Stop != 1 {
			t.Errorf("at %s the workload is at %d: an exception is no protection", c.now, r.Workloads[0].Stop)
		}
	}
}

// What is about the whole pod, or about an image, is covered where every container
// of it is.
func TestExceptedContainers(t *testing.T) {
	const head = "apiVersion: road/v1\nimages: {a: ., b: .}\nexceptions:\n"
	const a = "- {step: non-root, workload: web, container: a, reason: because, until: 2027-01-31}\n"
	const b = "- {step: non-root, workload: web, container: b, reason: because, until: 2027-01-31}\n"
	for config, want := range map[string]int{head[:len(head)-len("exceptions:\n")]: 2, head + a: 2, head + b: 2, head + a + b: 0} {
		app := load(t, map[string]string{"road.yaml": config, "web.yaml": strings.ReplaceAll(pod("web", "a", "b"), "example.com/", ""), "Dockerfile": "FROM debian\nCMD x\n"})
		r := run(t, app, Options{Chosen: func(_ int, name string) bool { return name == "non-root" }})
		// One finding of the pod, and one of the Dockerfile.
		if len(r.Findings) != want {
			t.Errorf("%s%d count, want %d: %+v", config, len(r.Findings), want, r.Findings)
		}
	}
}

// Every finding of every step has a fingerprint that moves with neither its line,
// nor its file, nor an image's version.
func TestFingerprintsStay(t *testing.T) {
	prints := func(file, text string) map[string]bool {
		all := func(int, string) bool { return true }
		out := map[string]bool{}
		for _, f := range run(t, load(t, map[string]string{file: text}), Options{Chosen: all}).Findings {
			out[f.Step+" "+f.Fingerprint] = true
		}
		return out
	}
	text := pod("web", "web", "side")
	before := prints("web.yaml", text)
	if len(before) < len(steps.All) {
		t.Fatalf("%d findings of %d steps", len(before), len(steps.All))
	}
	after := prints("k8s/other.yaml", "# a line\n\n"+strings.ReplaceAll(text, ":1", ":2.0-rc1@sha256:"+strings.Repeat("0", 64)))
	for p := range after {
		if !before[p] {
			t.Errorf("%s is new", p)
		}
	}
}

// A baseline that was written and read knows the same.
func TestBaselineRoundTrip(t *testing.T) {
	a := load(t, map[string]string{"web.yaml": pod("web", "web")})
	r := run(t, a, Options{})
	for _, v := range []any{NewBaseline(r), r} {
		content, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ReadBaseline(content)
		if err != nil {
			t.Fatal(err)
		}
		again := run(t, a, Options{Baseline: b})
		if len(again.Findings) != 0 || len(again.Known) != len(r.Findings) || len(again.Gone) != 0 {
			t.Errorf("%d count, %d known, %d gone", len(again.Findings), len(again.Known), len(again.Gone))
		}
		// What a baseline knew is in the next one too.
		if d := cmp.Diff(b, NewBaseline(again)); d != "" {
			t.Error(d)
		}
	}
	for _, bad := range []string{"", "[]", `{"schema":"road/baseline/v1","findings":[{}]}`, `{"schema":"road/baseline/v1","findings":5}`} {
		if _, err := ReadBaseline([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a baseline", bad)
		}
	}
}

// outputs has each form of a report hold the text that is wanted.
func outputs(t *testing.T, r *Report, v View, wanted map[string]string) {
	t.Helper()
	for name, want := range wanted {
		var b bytes.Buffer
		if err := Formats[name](&b, r, v); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s lacks %q:\n%s", name, want, &b)
		}
	}
}

// Text that would act in an output stays text there.
func TestOutputsEscape(t *testing.T) {
	r := &Report{App: "a", steps: []*step.Step{steps.All[0]}, Findings: []Finding{{Step: "non-root", File: "a,b:c\n.yaml", Line: 1, Workload: "pod/x",
		Message: "a\x1b[31m\n::error::b", Hint: "50%"}}, Workloads: []State{{Name: "pod/x"}}}
	v := View{Place: func(p app.Pos) string { return p.String() }}
	outputs(t, r, v, map[string]string{
		"github": "::error file=a%2Cb%3Ac%0A.yaml,line=1,title=road%3A non-root::a\\x1b[31m%0A::error::b (50%25)\n",
		"junit":  "a\ufffd[31m&#xA;::error::b",
		"sarif":  `"uri": "./a,b:c%0A.yaml"`,
	})
	var b bytes.Buffer
	if Text(&b, r, v); strings.Contains(b.String(), "\x1b") {
		t.Errorf("text acts on the terminal: %q", &b)
	}
}

// A file that cannot be read is no good news to a pipeline.
func TestProblemsAreTold(t *testing.T) {
	r := run(t, load(t, map[string]string{"web.yaml": pod("web", "web"), "bad.yaml": "apiVersion: v1\nkind: Pod\nspec: {\n"}), Options{})
	v := View{Place: func(p app.Pos) string { return p.String() }}
	outputs(t, r, v, map[string]string{
		"github": "::warning file=bad.yaml,line=",
		"junit":  `<testcase name="bad.yaml:`,
		"json":   `"file": "bad.yaml"`,
	})
}
