package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Keys gives the lines of the host's /proc/keys that the users of the container
// may see. The kernel shows a key to its owner only, to root no more than to
// others, so the list is read as each of them.
func (n *Node) Keys() ([]string, error) {
	ps, err := n.Processes()
	if err != nil {
		return nil, err
	}
	var users []int
	for _, p := range ps {
		if !slices.Contains(users, p.UID) {
			users = append(users, p.UID)
		}
	}
	var all []string
	for _, uid := range users {
		text, err := readAs(uid, filepath.Join(n.p.o.HostProc, "keys"))
		if err != nil {
			return nil, fmt.Errorf("list the keys of user %d: %w", uid, err)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	return all, nil
}

// readAs reads a file on a thread that has become user uid for file systems and
// ends afterwards.
func readAs(uid int, name string) (string, error) {
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		unix.Setfsuid(uid)     // tells nothing about success
		if now, _ := unix.SetfsuidRetUid(-1); now != uid {
			done <- answer{err: fmt.Errorf("became user %d instead", now)}
			return
		}
		b, err := os.ReadFile(name)
		done <- answer{string(b), err}
	}()
	a := <-done
	return a.text, a.err
}
