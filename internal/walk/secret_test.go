package walk

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
)

// secretive is an application with a secret in every place where one may stand.
var secretive = map[string]string{
	"web.yaml": `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop-prod}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: frontend}}
    spec:
      containers:
      - name: web
        image: registry.example.com/shop/web:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
        args: [serve, --admin-token=argued7, --level=info]
        env:
        - {name: DB_PASSWORD, value: hunter2}
        - {name: PGPASSWORD, value: hunter3}
        - {name: apiKey, value: hunter4}
        - {name: MONKEY, value: bananas}
        - {name: TOKEN_FILE, value: /run/tokens/web}
        - {name: DATABASE_URL, value: "postgres://web:hunter5@db/shop"}
`,
	"config.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  app.ini: |
    colour = green
    password = hunter6
`,
	"secret.yaml": `apiVersion: v1
kind: Secret
metadata: {name: postgres}
stringData:
  username: vendor
  port: "54321"
  ssl: "true"
  cluster: frontend
  uid: "5678"
  part: "789abcdef"
  pin: hunter8
  settings.json: '{"api_key": "hunter9"}'
`,
	"db/Dockerfile": "FROM debian:trixie-slim\nARG TOKEN=hunterA\nENV OTHER=x SECRET=\"hunterB\"\nENV REDIS_PASSWORD hunterC\n",
	"road.yaml": `apiVersion: road/v1
images: {db: {context: db, args: {BUILD_TOKEN: hunterD}}}
secrets: {extern: {password: hunterE, username: postgres}}
configMaps: {more: {SECRET_WORD: hunterF}}
services:
  queue: {image: db, port: 5672, env: {QUEUE_PASSWORD: hunterG, USER: guest}}
checks:
- name: asks
  pod: {image: db, command: [ask], env: {PASS: hunterH}}
`,
}

func secretiveMask(t *testing.T) *masker {
	t.Helper()
	files := map[string][]byte{}
	for name, content := range secretive {
		files[name] = []byte(content)
	}
	a, err := app.LoadFiles("shop", files)
	if err != nil {
		t.Fatal(err)
	}
	return newMasker(a)
}

func TestMaskFindsSecretsByTheirNames(t *testing.T) {
	m := secretiveMask(t)
	for _, v := range []string{"hunter2", "hunter3", "hunter4", "hunter5", "hunter6", "hunter8", "hunter9", "789abcdef", "argued7",
		"hunterA", "hunterB", "hunterC", "hunterD", "hunterE", "hunterF", "hunterG", "hunterH", "aHVudGVyMg=="} {
		if got := m.text("it said <" + v + "> and ended"); got != "it said <***> and ended" {
			t.Errorf("%s: got %q", v, got)
		}
	}
	if got := m.text("dial redis://:unknown1@cache:6379"); got != "dial redis://:***@cache:6379" {
		t.Errorf("an address: got %q", got)
	}
}

// What names things is shown: without it no finding says where, and no diff
// applies.
func TestMaskShowsNames(t *testing.T) {
	m := secretiveMask(t)
	m.image(app.ImageFacts{Accounts: []app.Account{{Name: "www-data"}}, Env: []string{"LICENSE_KEY=hunterI", "LANG=C.UTF-8"}, Labels: map[string]string{"token": "hunterJ"}})
	for _, line := range []string{
		"db/Dockerfile:1: image postgres of registry.example.com/shop/web:1 runs as www-data",
		"runAsUser: 5678", "readOnlyRootFilesystem: true", "vendor/x 54321 bananas guest",
		"tier: frontend", "/run/tokens/web", "--level=info", "C.UTF-8",
		"postgres://$(USER):$(PASS)@db",
	} {
		if got := m.text(line); got != line {
			t.Errorf("%q became %q", line, got)
		}
	}
	if got := m.text("hunterI hunterJ"); got != "*** ***" {
		t.Errorf("what an image holds: got %q", got)
	}
}

// labelled is an engine whose image holds what its build was told.
type labelled struct{ *memory }

func (e labelled) Prepare(ctx context.Context, a *app.App, p sandbox.Progress) (map[string]app.ImageFacts, error) {
	facts, err := e.memory.Prepare(ctx, a, p)
	for ref, f := range facts {
		f.Env = []string{"PATH=/bin", "BUILD_TOKEN=hunter2"}
		f.Entrypoint = []string{"/web", "--with=hunter2"}
		f.Cmd = []string{"hunter2"}
		f.Labels = map[string]string{"made.with": "hunter2"}
		facts[ref] = f
	}
	return facts, err
}

// What road learn gives is kept in a file and handed on: it holds no secret.
func TestLearnMasksItsRecord(t *testing.T) {
	m := &memory{}
	m.calls = func(*app.App, *app.Seen) error { return nil }
	m.learn = func(_ *app.App, s *app.Seen) {
		in := s.Inside("deployment/web", "web")
		in.Written = []string{"/data"}
		in.Denied = []app.Denied{{What: "write", Name: "/data/x", Line: "cannot write hunter2 to /data/x"}}
	}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"))
	o.Engine = labelled{m}
	r, err := Learn(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the record holds the secret: %s", text)
	}
	for _, kept := range []string{"PATH=/bin", "BUILD_TOKEN=***", "--with=***", "cannot write *** to /data/x", `"/data"`} {
		if !strings.Contains(string(text), kept) {
			t.Errorf("the record lacks %s: %s", kept, text)
		}
	}
}
