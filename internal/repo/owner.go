package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An identity is the user as whom git runs.
type identity struct {
	name    string
	trusted bool                // what lies in the repository is this user's own
	account *user.User          // nil where it is this process's own
	cred    *syscall.Credential // nil where it is this process's own
}

// ownerOf gives the user whom a file belongs to, where this process may act as
// them; else this process's own.
func ownerOf(name string) (*identity, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	own := os.Geteuid()
	if !ok || own != 0 || st.Uid == 0 {
		return &identity{name: accountName(own), trusted: ok && int(st.Uid) == own}, nil
	}
	id := &identity{name: accountName(int(st.Uid)), trusted: true, cred: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}}
	id.account = &user.User{Uid: strconv.Itoa(int(st.Uid)), Username: id.name, HomeDir: "/nonexistent"}
	if known, err := user.LookupId(id.account.Uid); err == nil {
		id.account = known
		if gid, err := strconv.ParseUint(known.Gid, 10, 32); err == nil {
			id.cred.Gid = uint32(gid)
		}
		groups, _ := known.GroupIds() // none: only the first group
		for _, g := range groups {
			if n, err := strconv.ParseUint(g, 10, 32); err == nil {
				id.cred.Groups = append(id.cred.Groups, uint32(n))
			}
		}
	}
	return id, nil
}

func accountName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", uid)
}

// fromOutside are the variables that would make git look at another repository
// than the one that was asked for.
var fromOutside = []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
	"GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"}

// personal are the variables that belong to the user who called, not to the one
// as whom git runs.
var personal = []string{"HOME", "USER", "LOGNAME", "MAIL", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME",
	"SUDO_USER", "SUDO_UID", "SUDO_GID", "SUDO_COMMAND", "GIT_CONFIG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
	"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_AUTHOR_DATE", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE", "EMAIL",
	"GNUPGHOME", "GPG_AGENT_INFO", "SSH_AUTH_SOCK", "SSH_AGENT_PID", "DBUS_SESSION_BUS_ADDRESS"}

// personalKinds are what the names of further such variables begin with, which
// are numbered.
var personalKinds = []string{"GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"}

func isPersonal(name string) bool {
	return slices.Contains(personal, name) ||
		slices.ContainsFunc(personalKinds, func(kind string) bool { return strings.HasPrefix(name, kind) })
}

func (id *identity) environ(env []string) []string {
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		return slices.Contains(fromOutside, k) || id.account != nil && isPersonal(k)
	})
	if id.account != nil {
		out = append(out, "HOME="+id.account.HomeDir, "USER="+id.account.Username, "LOGNAME="+id.account.Username)
	}
	return out
}

// A gitError is a git program that failed, with what it and its hooks said.
type gitError struct {
	err  error
	said string
}

func (e *gitError) Error() string { return cmp.Or(e.said, e.err.Error()) }
func (e *gitError) Unwrap() error { return e.err }

// ended says whether git came to an end by itself: it has an answer, and nobody
// interrupted it.
func ended(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.Exited()
}

// quiet says whether git gave its answer without a word.
func quiet(err error) bool {
	var g *gitError
	return ended(err) && errors.As(err, &g) && g.said == ""
}

// patience is how long git may take to clean up after an interruption.
const patience = 10 * time.Second

// run runs git in the folder and gives its standard output.
func (r *Repo) run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	// A name that git makes up from the host's is nobody's.
	settings := []string{"-c", "user.useConfigOnly=true"}
	if r.as.trusted { // the work tree may still be another's, as after sudo git clone
		settings = append(settings, "-c", "safe.directory=*")
	}
	cmd := exec.CommandContext(ctx, r.git, append(settings, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	cmd.Dir = r.folder
	cmd.Env = r.as.environ(os.Environ())
	cmd.Stdin = stdin
	if r.as.cred != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: r.as.cred}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &gitError{err, strings.TrimSpace(stderr.String() + "\n" + stdout.String())}
	}
	return stdout.String(), nil
}
