package minimalimage

import (
	"strings"
	"testing"

	"road/internal/app"
)

// load gives one pod that was seen to run, from its Dockerfile.
func load(t *testing.T, dockerfile, container string, facts app.ImageFacts, in app.SeenInside) *app.App {
	t.Helper()
	a, err := app.LoadFiles("test", map[string][]byte{
		"web/Dockerfile": []byte(dockerfile),
		"pod.yaml":       []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: c, image: web" + container + "}\n"),
	})
	if err != nil || len(a.Workloads) != 1 || a.Images[0].Build == nil {
		t.Fatalf("%d workloads, %v", len(a.Workloads), err)
	}
	facts.Executables, facts.Shell = 900, "/bin/sh"
	a.Seen.Images = map[string]app.ImageFacts{"web": facts}
	*a.Seen.Inside("pod/p", "c") = in
	return a
}

// TestLeftOut has each image that is left as it is say why, and get no edit.
func TestLeftOut(t *testing.T) {
	const debian = "FROM debian:trixie-slim\n"
	ran := app.SeenInside{Opened: []string{"/bin/x"}, Ran: []string{"/bin/x"}}
	script := app.SeenInside{Opened: []string{"/start.sh"}, Ran: []string{"/start.sh", "/usr/bin/dash"}}
	shell := func(line string) app.ImageFacts { return app.ImageFacts{Cmd: []string{"/bin/sh", "-c", line}} }
	for _, c := range []struct {
		name, dockerfile, container string
		facts                       app.ImageFacts
		in                          app.SeenInside
		want                        string
	}{
		{"a script", debian, "", app.ImageFacts{Entrypoint: []string{"/start.sh"}}, script, "the application itself runs a shell (/usr/bin/dash)"},
		{"two programs", debian, "", shell("migrate && serve"), ran, "its command is a line for a shell: a shell does something with '&'"},
		{"a variable of nobody", debian, "", shell(`serve "$PORT"`), ran, "gives $PORT a value"},
		{"a variable without quotes", debian, ", env: [{name: OPTS, value: a b}]", shell(`serve $OPTS`), ran, "may make several words of $OPTS"},
		{"an envFrom from elsewhere", debian, ", envFrom: [{configMapRef: {name: x}}]", app.ImageFacts{Env: []string{"PORT=80"}, Cmd: shell(`serve "$PORT"`).Cmd}, ran, "may hold $PORT"},
		{"a fallback for an empty value", debian, ", env: [{name: A, value: ''}]", shell(`serve "${A:-none}"`), ran, "may be empty or unset"},
		{"an optional value", debian, ", env: [{name: A, valueFrom: {configMapKeyRef: {name: x, key: k, optional: true}}}]", shell(`serve "$A"`), ran, "may be empty or unset"},
		{"arguments for a shell", debian, ", args: [x]", app.ImageFacts{Entrypoint: []string{"sh", "-c", "serve"}}, ran, "the manifest gives that shell arguments"},
		{"the manifest's own line", debian, ", command: [sh, -c, 'a; b']", app.ImageFacts{}, ran, `the command of container "c" is a line for a shell`},
		{"nothing to start", debian, "", app.ImageFacts{}, ran, "neither the image nor the manifest says what to start"},
		{"for others", debian + "ONBUILD RUN x\n", "", app.ImageFacts{Cmd: []string{"x"}}, ran, "web/Dockerfile:2: ONBUILD"},
		{"a record without its secrets", debian + "ENV PASSWORD=x\n", "", app.ImageFacts{Env: []string{"PASSWORD=***"}, Cmd: []string{"x"}}, ran, "saved without its secrets (ENV PASSWORD)"},
		{"a record without its command", debian, "", app.ImageFacts{Cmd: []string{"x", "--password=***"}}, ran, "saved without its secrets (its command)"},
		{"Windows", "FROM mcr.microsoft.com/windows/nanoserver\n", "", app.ImageFacts{Cmd: []string{"x"}}, ran, "for Windows"},
	} {
		a := load(t, c.dockerfile, c.container, c.facts, c.in)
		f := Step.Check(a)
		if len(f) != 1 || f[0].NeedsRun || !strings.Contains(f[0].Message, c.want) {
			t.Errorf("%s: %+v, want ...%s", c.name, f, c.want)
		}
		if edits, err := Step.Fix(a); err != nil || len(edits) > 0 {
			t.Errorf("%s: %v, %v; want no edit", c.name, edits, err)
		}
	}
}

// TestWeakenParses has what is put beneath an image be a Dockerfile that starts
// from the stage which was copied from.
func TestWeakenParses(t *testing.T) {
	for dockerfile, want := range map[string]string{
		"FROM golang AS b\nRUN go build -o /web\nFROM scratch\nCOPY --from=b /web /web\nENTRYPOINT [\"/web\"]\n": "FROM golang AS b\nRUN go build -o /web\nFROM b\n\nENTRYPOINT [\"/web\"]\n",
		"FROM golang AS b\nFROM gcr.io/distroless/static AS last\nCOPY --from=b /go/web \\\n  /web\n":            "FROM golang AS b\nFROM b AS last\nCOPY --from=b /go/web \\\n  /web\n",
		"FROM scratch\nCOPY web /\n": "FROM debian:trixie-slim\nCOPY web /\n",
		"FROM debian AS build\nFROM build AS minimal\nRUN x\nFROM scratch\nCOPY --from=minimal /minimal /\nCOPY --from=build /etc/x /etc/x\n": "FROM debian AS build\nFROM build AS minimal\nRUN x\nFROM build\n\n\n",
	} {
		a := load(t, dockerfile, "", app.ImageFacts{}, app.SeenInside{})
		Step.Weaken(a)
		if got := string(a.Dockerfiles[0].Content); got != want {
			t.Errorf("%s\nbecame\n%s\nwant\n%s", dockerfile, got, want)
		}
		if len(Step.Check(a)) != 1 {
			t.Errorf("weakened, and Check is silent:\n%s", a.Dockerfiles[0].Content)
		}
	}
}

// TestGoBuilds finds the builds that can be static, however they are written.
func TestGoBuilds(t *testing.T) {
	const flags = ` -ldflags "-s -w"`
	for run, want := range map[string]string{
		"RUN go build": "RUN CGO_ENABLED=0 go build" + flags,
		"RUN cd x && go build -o /app/x . && echo done": "RUN cd x && CGO_ENABLED=0 go build" + flags + " -o /app/x . && echo done",
		"RUN CGO_ENABLED=0 go build":                    "RUN CGO_ENABLED=0 go build" + flags,
		"RUN GOOS=linux go build -ldflags=-X=a.b=c .":   "RUN GOOS=linux CGO_ENABLED=0 go build -ldflags=-X=a.b=c .",
		"RUN CGO_ENABLED=1 go build":                    "",
		"RUN go build -race":                            "",
		"RUN bash -c \"go build\"":                      "",
		"RUN [\"go\", \"build\"]":                       "",
		"RUN make":                                      "",
		"RUN go buildinfo":                              "",
		"RUN time go build":                             "RUN time env CGO_ENABLED=0 go build" + flags,
		"RUN x | xargs go build":                        "RUN x | xargs env CGO_ENABLED=0 go build" + flags,
		"RUN nice \\\n  go build":                       "  env CGO_ENABLED=0 go build" + flags,
		"RUN env GOOS=linux go build":                   "RUN env GOOS=linux CGO_ENABLED=0 go build" + flags,
		"ENV GOFLAGS=-ldflags=-X=a.b=c\nRUN go build":   "RUN CGO_ENABLED=0 go build",
		"RUN apk add gcc musl-dev\nRUN go build":        "",
		"RUN apk add gcc\nRUN CGO_ENABLED=0 go build":   "RUN CGO_ENABLED=0 go build" + flags,
	} {
		a := load(t, "FROM golang\n"+run+"\n", "", app.ImageFacts{}, app.SeenInside{})
		got := ""
		for _, b := range targets(a)[0].goBuilds() {
			got += b.text
		}
		if got != want {
			t.Errorf("%s: %q, want %q", run, got, want)
		}
	}
}

// A library that comes with its package does so under the name, too, that it had in
// an image where /lib is no link.
func TestNoLibraryTwice(t *testing.T) {
	const name = "/x86_64-linux-gnu/libecap.so.3"
	in := app.SeenInside{Opened: []string{"/lib" + name, "/usr/lib" + name}, Packages: map[string]string{"/usr/lib" + name: "libecap3"}}
	a := load(t, "FROM debian:trixie-slim\n", "", app.ImageFacts{}, in)
	p := &plan{rung: packaged}
	p.addFiles(targets(a)[0], a)
	if len(p.files) > 0 {
		t.Errorf("%q", p.files)
	}
}
