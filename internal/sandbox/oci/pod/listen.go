package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	var ports []int
	for pid := range a.tree() {
		ports = append(ports, listensOn(pid)...)
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// listening says whether a process has a socket that takes TCP connections.
func listening(pid int) bool { return len(listensOn(pid)) > 0 }

// listensOn gives the TCP ports of the sockets on which a process takes
// connections. The processes of a pod share one network, so a socket's number
// tells whose it is.
func listensOn(pid int) (ports []int) {
	dir := fmt.Sprintf("/proc/%d", pid)
	open := map[string]bool{}
	fds, _ := os.ReadDir(filepath.Join(dir, "fd"))
	for _, fd := range fds {
		if link, err := os.Readlink(filepath.Join(dir, "fd", fd.Name())); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				open[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	if len(open) == 0 {
		return nil
	}
	for _, table := range []string{"tcp", "tcp6"} {
		b, _ := os.ReadFile(filepath.Join(dir, "net", table))
		for line := range strings.Lines(string(b)) {
			if inode, port, ok := listenLine(line); ok && open[inode] {
				ports = append(ports, port)
			}
		}
	}
	return ports
}

// listenLine reads a line of /proc/PID/net/tcp: number, local address, remote
// address, state, and in tenth place the inode. ok is false where the state is not
// 0A, LISTEN.
func listenLine(line string) (inode string, port int, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return "", 0, false
	}
	_, hex, _ := strings.Cut(f[1], ":")
	n, err := strconv.ParseUint(hex, 16, 16)
	return f[9], int(n), err == nil
}
