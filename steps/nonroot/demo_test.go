package nonroot

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
)

// TestDemo holds the demo's change to the one that the road began with, line for
// line; only the words of comments are free.
func TestDemo(t *testing.T) {
	a, err := app.Load("../../demo")
	if err != nil {
		t.Fatal(err)
	}
	a.Stop = 2
	edits, err := step.Plan(Step, a)
	if err != nil {
		t.Fatal(err)
	}
	before := edit.Files(a.Files())
	after, refused := edit.Apply(before, edits)
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	for file, want := range map[string]string{
		"app/Dockerfile": `
 RUN go build
+
+#
+RUN chgrp -R 0 . && chmod -R g+rwX .
+
+#
+USER 5678
+
 CMD ["./road-to-secure-kubernetes"]`,
		"manifests/deployment.yaml": `
     spec:
+      securityContext:
+        runAsGroup: 4444
+        runAsUser: 1234
+        runAsNonRoot: true
       containers:
       - name: road-to-secure-kubernetes
-        image: road-to-secure-kubernetes:1
+        image: road-to-secure-kubernetes:2
         env:`,
		"redis/Dockerfile": `
 WORKDIR /data
+
+#
+USER 999
+
 EXPOSE 6379`,
		"manifests/redis-sts.yaml": `
     spec:
+      securityContext:
+        runAsGroup: 999
+        runAsUser: 999
+        runAsNonRoot: true
+        fsGroup: 999
       containers:
       - name: redis
-        image: road-redis:1
+        image: road-redis:2
         env:`,
	} {
		got := changed(edit.Diff(edit.Files{file: before[file]}, edit.Files{file: after[file]}))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", file, d)
		}
	}
	if len(after) != 4 {
		t.Errorf("%d files change, not 4", len(after))
	}
}

// changed gives the lines of a diff from one in front of the first change to one
// behind the last, and takes the words out of comments.
func changed(diff string) string {
	lines := strings.Split(strings.TrimSuffix(diff, "\n"), "\n")[3:]
	first, last := -1, 0
	for i, l := range lines {
		if strings.HasPrefix(l, "+# ") {
			lines[i] = "+#"
		}
		if l[0] != ' ' {
			last = i
			if first < 0 {
				first = i
			}
		}
	}
	return "\n" + strings.Join(lines[first-1:last+2], "\n")
}
