package walk

import (
	"errors"
	"strings"
	"testing"

	"road/internal/app"
)

// The job gives up first, and the server whose crash made it is blamed first.
func TestServersAreBlamedBeforeJobs(t *testing.T) {
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: ask}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: ask, image: web}]}}}\n"
	m := &memory{unready: func(_ *app.App, w *app.Workload) string { return "exit status 1" }}
	_, err := Walk(t.Context(), options(t, m, map[string]string{"a.yaml": job, "web.yaml": manifest("web")}, labelStep("a")))
	var input *InputError
	if !errors.As(err, &input) {
		t.Fatalf("got %v", err)
	}
	for what, text := range map[string]string{"the error": err.Error(), "the last lines": input.Logs} {
		server, job := strings.Index(text, "deployment/web"), strings.Index(text, "job/ask")
		if server < 0 || job < server {
			t.Errorf("%s: %s", what, text)
		}
	}
}
