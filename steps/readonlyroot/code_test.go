package readonlyroot

import (
	"io/fs"
	"slices"
	"testing"

	"road/internal/sandbox"
)

// A node has some files.
type node struct {
	sandbox.Node
	files []string
}

func (n node) ReadFile(name string, _ int64) ([]byte, error) {
	if slices.Contains(n.files, name) {
		return []byte("x"), nil
	}
	return nil, fs.ErrNotExist
}

// TestCodeFile finds the application's own code behind an interpreter.
func TestCodeFile(t *testing.T) {
	a := load(t, map[string]string{"pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, workingDir: /srv, volumeMounts: [{name: v, mountPath: /data}]}], volumes: [{name: v, emptyDir: {}}]}\n"})
	n := node{files: []string{"/srv/app.py", "/srv/pkg/web.py", "/usr/bin/gunicorn", "/data/x.py", "/srv/x.js"}}
	for _, c := range []struct{ exe, command, want string }{
		{"/usr/bin/python3.13", "python3 app.py", "/srv/app.py"},
		{"/usr/bin/python3.13", "/usr/bin/python3 /usr/bin/gunicorn --bind 0.0.0.0:80 app:app", "/srv/app.py"},
		{"/usr/bin/python3.13", "python3 -m uvicorn pkg.web:app --port 80", "/srv/pkg/web.py"},
		{"/usr/bin/node", "node /srv/x.js --y", "/srv/x.js"},
		{"/usr/bin/python3.13", "python3 /data/x.py", ""}, // on a volume
		{"/usr/bin/python3.13", "python3 gone.py", ""},
		{"/usr/sbin/nginx", "nginx app.py", ""},
	} {
		s := &sandbox.Scene{App: a, Target: sandbox.Target{Workload: "pod/p", Container: "c"}, Node: n}
		if got := codeFile(s, []sandbox.Process{{Exe: c.exe, Command: c.command}}); got != c.want {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
	}
}
