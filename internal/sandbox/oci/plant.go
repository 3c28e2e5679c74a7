package oci

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"road/internal/sandbox"
	"road/internal/sandbox/oci/pod"

	"golang.org/x/sys/unix"
)

// plant gives a function that copies program onto the pod's volume, owned by the
// pod's root, whoever that is on the node. The container may write there too, so
// the copy is made only where nothing is, and no link is followed.
func (m *member) plant(program string) func(sandbox.Helper) (*sandbox.Planted, error) {
	return func(h sandbox.Helper) (*sandbox.Planted, error) {
		if !filepath.IsLocal(h.Name) || filepath.Base(h.Name) != h.Name {
			return nil, fmt.Errorf("plant %q: not the name of a file", h.Name)
		}
		name := filepath.Join(m.scratch, h.Name)
		remove := func() error { return os.Remove(name) }
		if err := copyHelper(program, name, h, m.root()); err != nil {
			return nil, fmt.Errorf("plant %s: %w", h.Name, err)
		}
		return &sandbox.Planted{Path: path.Join(pod.ScratchDestination, h.Name), Remove: remove}, nil
	}
}

// copyHelper makes the copy for owner; where that fails, nothing is left.
func copyHelper(program, name string, h sandbox.Helper, owner int) (err error) {
	in, err := os.Open(program)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(name))
		}
	}()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	fd := int(out.Fd())
	if err := unix.Fchown(fd, owner, owner); err != nil { // before the mode, of which it takes setuid
		return err
	}
	if err := unix.Fchmod(fd, h.Mode&0o7777); err != nil {
		return err
	}
	if h.Capabilities == 0 {
		return nil
	}
	return unix.Fsetxattr(fd, "security.capability", fileCapabilities(h.Capabilities, uint32(owner)), 0)
}

// fileCapabilities is the extended attribute of capabilities(7): the flag
// "effective", then permitted and inheritable in two halves. Revision 2 holds for
// the host's root; revision 3 names the root of a user namespace for which it does.
func fileCapabilities(permitted uint64, root uint32) []byte {
	const revision2, revision3, effective = 0x02000000, 0x03000000, 0x000001
	words := []uint32{revision2 | effective, uint32(permitted), 0, uint32(permitted >> 32), 0}
	if root != 0 {
		words[0] = revision3 | effective
		words = append(words, root)
	}
	var b []byte
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}
