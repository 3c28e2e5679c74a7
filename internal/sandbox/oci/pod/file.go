package pod

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// podUID is the object's uid, or one that is made from the pod's id.
func podUID(o Options) string {
	if o.Meta.UID != "" {
		return string(o.Meta.UID)
	}
	h := sha256.Sum256([]byte(o.ID))
	return fmt.Sprintf("%x-%x-4%x-a%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])[:36]
}

// memoryCapacity is the node's memory in bytes.
func memoryCapacity() int64 {
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return 0
	}
	return int64(i.Totalram) * int64(i.Unit)
}

// writeFiles makes the files that the kubelet and the CRI plugin keep for a pod,
// and its /dev/shm.
func (p *Pod) writeFiles() error {
	for name, text := range map[string]string{
		"hosts":       p.hosts(),
		"hostname":    p.o.Hostname + "\n",
		"resolv.conf": p.o.ResolvConf,
	} {
		// On the disk: the container may write them, and would fill the tmpfs that
		// all pods share.
		if err := writeFile(filepath.Join(p.disk, name), []byte(text), 0o644); err != nil {
			return err
		}
		if err := p.give(filepath.Join(p.disk, name)); err != nil {
			return err
		}
	}
	shm := filepath.Join(p.dir, "shm")
	if err := os.Mkdir(shm, 0o755); err != nil {
		return err
	}
	return unix.Mount("shm", shm, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, fmt.Sprintf("mode=1777,size=65536k,uid=%d,gid=%[1]d", p.root()))
}

// writeFile makes a file with exactly mode, whatever the umask is.
func writeFile(name string, data []byte, mode os.FileMode) error {
	if err := os.WriteFile(name, data, mode); err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// hosts is the kubelet's /etc/hosts. Without it "localhost" would be a question
// for the DNS server in an image that has none.
func (p *Pod) hosts() string {
	var b strings.Builder
	b.WriteString("# Kubernetes-managed hosts file.\n" +
		"127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
	if p.o.IP != "" {
		fmt.Fprintf(&b, "%s\t", p.o.IP)
		if p.spec.Subdomain != "" {
			fmt.Fprintf(&b, "%s.%s.%s.svc.cluster.local\t", p.o.Hostname, p.spec.Subdomain, p.o.Namespace)
		}
		b.WriteString(p.o.Hostname + "\n")
	}
	if len(p.spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range p.spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	return b.String()
}
