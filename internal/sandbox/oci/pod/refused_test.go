package pod

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRefusal(t *testing.T) {
	for line, want := range map[string][2]string{
		`mkdir: cannot create directory '/var/x': Permission denied`:                              {"", "/var/x"},
		`mkdir: cannot create directory ‘data’: Permission denied`:                                {"", "data"},
		`PermissionError: [Errno 13] Permission denied: '/srv/app/data/x.db'`:                     {"", "/srv/app/data/x.db"},
		`OSError: [Errno 30] Read-only file system: '/srv/x'`:                                     {"write", "/srv/x"},
		`2026/11/23 02:00:00 [emerg] 1#1: open() "/run/nginx.pid" failed (13: Permission denied)`: {"", "/run/nginx.pid"},
		`[emerg] mkdir() "/var/lib/nginx/body" failed (30: Read-only file system)`:                {"write", "/var/lib/nginx/body"},
		`./entrypoint.sh: line 5: data/x: Permission denied`:                                      {"", "data/x"},
		`/run.sh: 4: cannot create /etc/x.conf: Read-only file system`:                            {"write", "/etc/x.conf"},
		`open /var/lib/app/db: permission denied`:                                                 {"", "/var/lib/app/db"},
		`java.io.FileNotFoundException: /logs/app.log (Permission denied)`:                        {"", "/logs/app.log"},
		`chown: changing ownership of 'uploads/README': Operation not permitted`:                  {"own", "uploads/README"},
		`Error: EACCES: permission denied, mkdir '/app/tmp'`:                                      {"", "/app/tmp"},
		`Error: EROFS: read-only file system, open '/app/x'`:                                      {"write", "/app/x"},
		`error: failed switching to "guestbook": operation not permitted`:                         {},
		`GET /permission HTTP/1.1`:                                                                {},
		`all is well`:                                                                             {},
	} {
		if what, file := refusal(line); what != want[0] || file != want[1] {
			t.Errorf("%s: %q %q, want %q", line, what, file, want)
		}
	}
}

// What everybody may read can only have been refused to a writer.
func TestWanted(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"open": 0o644, "closed": 0o640, "in/x": 0o644} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "in"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"/open": "write", "/closed": "read", "/in/x": "read", "/in/y": "read", "/in": "read", "/none": "write", "/no/ne": "write"} {
		if got := wanted([]string{dir}, name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// A bare refusal is about what the line before it names, where that is closed.
func TestClosed(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"closed": 0o750, "open": 0o755} {
		if err := os.Mkdir(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{">>> 'dir /closed'": "/closed", ">>> 'dir /open'": "", "from /open to /closed.": "/closed", "/none": "", "all is well": ""} {
		if got := closed([]string{dir}, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
