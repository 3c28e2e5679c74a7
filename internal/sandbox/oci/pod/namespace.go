package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// makeNamespaces makes the ipc and uts namespaces (and the network's, where none
// is given) that the pod's containers share, pins them by bind mounts and sets
// their sysctls. Those of a pod with users of its own came with them. A cluster's
// pause container does no more than that, but for process namespaces: see
// startPause.
func (p *Pod) makeNamespaces() error {
	sysctls, err := p.sysctls()
	if err != nil {
		return err
	}
	p.ns[string(specs.IPCNamespace)] = filepath.Join(p.dir, "ns", "ipc")
	p.ns[string(specs.UTSNamespace)] = filepath.Join(p.dir, "ns", "uts")
	p.ns[string(specs.NetworkNamespace)] = first(p.o.NetNS, filepath.Join(p.dir, "ns", "net"))
	if u := p.o.UserNS; u != nil {
		p.ns[string(specs.IPCNamespace)], p.ns[string(specs.UTSNamespace)] = u.Path("ipc"), u.Path("uts")
		p.ns[string(specs.NetworkNamespace)] = first(p.o.NetNS, u.Path("net"))
	}
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and its namespaces
		// with it unless they are pinned.
		runtime.LockOSThread()
		done <- p.unshare(sysctls)
	}()
	return <-done
}

// unshare runs on a thread of its own.
func (p *Pod) unshare(sysctls map[string]string) error {
	flags := 0
	var pin []string
	for _, n := range []struct {
		name string
		kind specs.LinuxNamespaceType
		flag int
		made bool // there already
	}{
		{"ipc", specs.IPCNamespace, unix.CLONE_NEWIPC, p.o.UserNS != nil},
		{"uts", specs.UTSNamespace, unix.CLONE_NEWUTS, p.o.UserNS != nil},
		{"net", specs.NetworkNamespace, unix.CLONE_NEWNET, p.o.UserNS != nil || p.o.NetNS != ""},
	} {
		if !n.made {
			flags |= n.flag
			pin = append(pin, n.name)
		} else if err := enterNamespace(p.ns[string(n.kind)], n.flag); err != nil {
			return err
		}
	}
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Sethostname([]byte(p.o.Hostname)); err != nil {
		return fmt.Errorf("sethostname %s: %w", p.o.Hostname, err)
	}
	if p.o.NetNS == "" {
		if err := loopbackUp(); err != nil {
			return err
		}
	}
	for _, k := range sortedKeys(sysctls) {
		name := filepath.Join("/proc/sys", strings.NewReplacer(".", "/", "/", ".").Replace(k))
		if err := os.WriteFile(name, []byte(sysctls[k]), 0); err != nil {
			return fmt.Errorf("sysctl %s: %w", k, err)
		}
	}
	for _, n := range pin {
		if err := pinNamespace(n, filepath.Join(p.dir, "ns", n)); err != nil {
			return err
		}
	}
	return nil
}

// enterNamespace moves this thread to a namespace that is pinned at path.
func enterNamespace(path string, kind int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, kind); err != nil {
		return fmt.Errorf("enter the namespace %s: %w", path, err)
	}
	return nil
}

func loopbackUp() error {
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(lo)
}

// pinNamespace keeps this thread's namespace at path.
func pinNamespace(name, path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/%s", unix.Gettid(), name), path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("pin %s namespace: %w", name, err)
	}
	return nil
}

// safeSysctls are those that a kubelet takes without being told to.
var safeSysctls = []string{
	"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
	"net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
	"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
	"net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
}

// sysctls gives the CRI plugin's own two, without which a user other than root
// could not listen on port 80 or ping, and the spec's.
func (p *Pod) sysctls() (map[string]string, error) {
	m := map[string]string{
		"net.ipv4.ip_unprivileged_port_start": "0",
		"net.ipv4.ping_group_range":           "0 2147483647",
	}
	if p.spec.SecurityContext == nil {
		return m, nil
	}
	for _, s := range p.spec.SecurityContext.Sysctls {
		name := s.Name
		if err := checkSysctl(name); err != nil {
			return nil, err
		}
		// The slash form exists for names whose parts hold dots.
		if dot, slash := strings.IndexByte(name, '.'), strings.IndexByte(name, '/'); slash >= 0 && (dot < 0 || slash < dot) {
			name = strings.NewReplacer("/", ".", ".", "/").Replace(name)
		}
		if !namespaced(name) {
			return nil, fmt.Errorf("SysctlForbidden: sysctl %q is not namespaced", s.Name)
		}
		if !contains(safeSysctls, name) {
			p.note("sysctl %s is unsafe: a kubelet refuses the pod unless its --allowed-unsafe-sysctls has it", name)
		}
		m[name] = s.Value
	}
	return m, nil
}

// namespaced says that a sysctl belongs to the ipc or network namespace.
func namespaced(name string) bool {
	for _, prefix := range []string{"kernel.shm", "kernel.msg", "fs.mqueue.", "net."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "kernel.sem"
}
