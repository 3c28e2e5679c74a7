package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"road/internal/sandbox/oci"
	"road/internal/sandbox/oci/world"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

func lookRoot(context.Context, *engineOptions) (level, string, string) {
	if os.Geteuid() == 0 {
		return fine, "yes", ""
	}
	return missing, fmt.Sprintf("no: uid %d", os.Geteuid()), "sudo road walk"
}

func lookKernel(context.Context, *engineOptions) (level, string, string) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return unknown, err.Error(), ""
	}
	return fine, "Linux " + unix.ByteSliceToString(u.Release[:]), ""
}

func lookRuntime(ctx context.Context, o *engineOptions) (level, string, string) {
	mend := "apt-get install " + o.runtime
	path, err := exec.LookPath(o.runtime)
	if err != nil {
		return missing, o.runtime + " is not on PATH", mend
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return missing, path + ": " + err.Error(), mend
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return fine, strings.Replace(first, " version ", " ", 1), ""
}

// lookBeside looks for a program of road's own beside this one, and gives what it
// costs to lack it.
func lookBeside(name string, lack level) func(context.Context, *engineOptions) (level, string, string) {
	return func(context.Context, *engineOptions) (level, string, string) {
		dir, err := beside(name)
		if f := new(fault); errors.As(err, &f) {
			return lack, err.Error(), f.hint
		}
		if err != nil {
			return unknown, err.Error(), ""
		}
		return fine, filepath.Join(dir, name), ""
	}
}

// lookOverlay asks the list of file systems; an absent module may still load.
func lookOverlay(context.Context, *engineOptions) (level, string, string) {
	if listedIn("/proc/filesystems", "overlay") {
		return fine, "in the kernel", ""
	}
	return missing, "not in /proc/filesystems", "modprobe overlay"
}

func lookSeccomp(context.Context, *engineOptions) (level, string, string) {
	b, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if err != nil {
		return weaker, "the kernel has no seccomp filters", "use a kernel with CONFIG_SECCOMP_FILTER"
	}
	return fine, strings.TrimSpace(string(b)), ""
}

// lookUserNamespaces makes one, and maps the owners of the file systems that pods
// get. It leaves nothing behind.
func lookUserNamespaces(context.Context, *engineOptions) (level, string, string) {
	if _, err := os.Stat("/proc/self/ns/user"); err != nil {
		return weaker, "the kernel has none", "use a kernel with CONFIG_USER_NS"
	}
	if os.Geteuid() != 0 {
		return unknown, "only root can try", ""
	}
	err := world.ProveUserNS(existing(stateDir()), "/dev/shm")
	switch {
	case err == nil:
		return fine, "made, and owners mapped in " + existing(stateDir()), ""
	case errors.Is(err, unix.ENOSPC):
		return weaker, "no more are allowed: " + err.Error(), "sysctl user.max_user_namespaces=10000"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return weaker, err.Error(), "use Linux 6.3 or newer and a file system that can map owners, such as ext4, xfs or btrfs"
	}
	return weaker, err.Error(), ""
}

// existing is the nearest directory above dir, or dir itself, that is there.
func existing(dir string) string {
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
	}
	return dir
}

// lookCgroups tells the versions apart by the type of what is mounted.
func lookCgroups(context.Context, *engineOptions) (level, string, string) {
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err != nil {
		return missing, "nothing is mounted on /sys/fs/cgroup", "mount -t cgroup2 none /sys/fs/cgroup"
	}
	if st.Type == unix.CGROUP2_SUPER_MAGIC {
		return fine, "version 2", ""
	}
	for _, c := range []string{"memory", "cpu", "pids"} {
		if _, err := os.Stat("/sys/fs/cgroup/" + c); err != nil {
			return weaker, "version 1 without " + c, "mount the " + c + " controller below /sys/fs/cgroup"
		}
	}
	return fine, "version 1", ""
}

// lookNftables asks the kernel for its tables over netlink.
func lookNftables(context.Context, *engineOptions) (level, string, string) {
	c, err := nftables.New()
	if err == nil {
		_, err = c.ListTables()
	}
	if err == nil {
		return fine, "in the kernel", ""
	}
	if os.Geteuid() != 0 {
		return unknown, "only root can ask: " + err.Error(), ""
	}
	return missing, err.Error(), "modprobe nf_tables"
}

// lookAudit has one system call of its own recorded; only root may, and not in a
// container.
func lookAudit(ctx context.Context, _ *engineOptions) (level, string, string) {
	if os.Geteuid() != 0 {
		return unknown, "only root can tell", ""
	}
	if why := oci.ProveAudit(ctx); why != "" {
		return weaker, why, "use a kernel with CONFIG_AUDIT, outside of a container; without it RuntimeDefault still works"
	}
	return fine, "a logged system call was read back", ""
}

func lookMmdebstrap(context.Context, *engineOptions) (level, string, string) {
	path, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return weaker, "not on PATH", "apt-get install mmdebstrap"
	}
	return fine, path, ""
}

// debian is asked whether a mirror answers: apt's own, or the default one.
const debian = "http://deb.debian.org/debian/dists/stable/InRelease"

func lookMirror(ctx context.Context, _ *engineOptions) (level, string, string) {
	return answers(ctx, debian, "packages come from the mirrors in /etc/apt")
}

func lookRegistry(ctx context.Context, _ *engineOptions) (level, string, string) {
	return answers(ctx, "https://registry-1.docker.io/v2/", "images can also come from packages, or from files")
}

// answers asks an address. No answer is no failure: a proxy or another mirror
// may serve as well.
func answers(ctx context.Context, url, otherwise string) (level, string, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return unknown, err.Error(), ""
	}
	host := req.URL.Host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		why := "no answer"
		if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
			why = fmt.Sprintf("no answer within %s", patience)
		} else if d := new(net.DNSError); errors.As(err, &d) {
			why = "the name is not known"
		}
		return unknown, host + ": " + why + "; " + otherwise, ""
	}
	resp.Body.Close()
	return fine, fmt.Sprintf("%s answers", host), ""
}

// enough is the room that images and build caches of one walk need, in bytes.
const enough = 3 << 30

func lookDisk(context.Context, *engineOptions) (level, string, string) {
	dir := existing(stateDir())
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return unknown, err.Error(), ""
	}
	free := st.Bavail * uint64(st.Bsize)
	detail := fmt.Sprintf("%.1f GB free in %s", float64(free)/1e9, dir)
	if free < enough {
		return weaker, detail, "free some space; a walk of the demo needs about 3 GB"
	}
	return fine, detail, ""
}

// listedIn says whether a word stands in a file.
func listedIn(file, word string) bool {
	b, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	for _, f := range strings.Fields(string(b)) {
		if f == word {
			return true
		}
	}
	return false
}
