package pod

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"road/internal/sandbox/oci/world"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Listens gives the TCP ports on which a container's own processes listen now,
// sorted; none of a container that does not run.
func (p *Pod) Listens(name string) ([]int, error) {
	c, err := p.container(name)
	if err != nil {
		return nil, err
	}
	a := c.current()
	if a == nil {
		return nil, nil
	}
	sockets, err := p.listeners()
	if err != nil {
		return nil, err
	}
	var ports []int
	for pid := range a.tree() {
		ports = append(ports, portsOf(pid, sockets)...)
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// portsOf gives the TCP ports of the listening sockets that a process has open.
// The processes of a pod share one network, so a socket's number tells whose it
// is.
func portsOf(pid int, sockets map[string]int) (ports []int) {
	if len(sockets) == 0 {
		return nil
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, _ := os.ReadDir(dir) // a process that is gone has none
	for _, fd := range fds {
		link, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil {
			continue
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			if port, ok := sockets[strings.TrimSuffix(inode, "]")]; ok {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

// listeners gives the sockets of the pod's network on which TCP connections are
// taken, by number, with their ports. The kernel is asked for these alone: for
// /proc/net/tcp it goes through the connections of the whole machine.
func (p *Pod) listeners() (map[string]int, error) {
	name := p.ns[string(specs.NetworkNamespace)]
	ns, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(ns)
	ports := map[string]int{}
	err = world.InNS(ns, func() error {
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
			req.AddRawData(listenRequest(family))
			err := req.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(b []byte) bool {
				if inode, port, ok := listenAnswer(b); ok {
					ports[inode] = port
				}
				return true
			})
			if err != nil {
				return fmt.Errorf("which sockets listen: %w", err)
			}
		}
		return nil
	})
	return ports, err
}

// tcpListen is the kernel's TCP_LISTEN.
const tcpListen = 10

// listenRequest is a struct inet_diag_req_v2: family u8, protocol u8, two bytes of
// nothing, states u32 as a set, and the 48 bytes of a socket's id, not used here.
func listenRequest(family byte) []byte {
	b := make([]byte, 56)
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], 1<<tcpListen)
	return b
}

// listenAnswer reads a struct inet_diag_msg: family u8, state u8, two bytes, the
// socket's id, which begins with its port, at 4, and the inode u32 at 68.
func listenAnswer(b []byte) (inode string, port int, ok bool) {
	if len(b) < 72 || b[1] != tcpListen {
		return "", 0, false
	}
	n := binary.NativeEndian.Uint32(b[68:])
	return strconv.FormatUint(uint64(n), 10), int(binary.BigEndian.Uint16(b[4:])), n != 0
}
