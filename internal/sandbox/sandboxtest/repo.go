package sandboxtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Owner is a user who has no account on this machine.
const Owner = 54322

// Repository makes what lies in top the work of Owner, committed in a repository of
// his. It gives git as he runs it, without any settings of his own.
func Repository(t *testing.T, top string) (git func(args ...string) string) {
	t.Helper()
	for dir := top; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // for the owner to get there
			t.Fatal(err)
		}
	}
	if err := filepath.Walk(top, func(name string, _ os.FileInfo, _ error) error { return os.Lchown(name, Owner, Owner) }); err != nil {
		t.Fatal(err)
	}
	git = func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = top, append(os.Environ(), "HOME=/nonexistent")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: Owner, Gid: Owner}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimRight(string(out), "\n")
	}
	git("init", "-q")
	git("config", "user.name", "Ada")
	git("config", "user.email", "ada@example.com")
	git("add", "-A")
	git("commit", "-qm", "as it came")
	return git
}

// Owned has the test fail for each file below top that is not Owner's; also sees
// those that are.
func Owned(t *testing.T, top string, also func(name string, info os.FileInfo)) {
	t.Helper()
	filepath.Walk(top, func(name string, info os.FileInfo, err error) error {
		switch {
		case err != nil:
			t.Error(err)
		case info.Sys().(*syscall.Stat_t).Uid != Owner:
			t.Errorf("%s is not the owner's", name)
		case also != nil:
			also(name, info)
		}
		return nil
	})
}
