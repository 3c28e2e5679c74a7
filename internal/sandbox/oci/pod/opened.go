package pod

import (
	"encoding/binary"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// A watch tells which files of a container's root file system are opened, and
// which of them are run, by the kernel's fanotify. It sees every process in the
// container, and the runtime while it starts one. Volumes and what the kubelet
// mounts are other file systems, and not seen.
type watch struct {
	events *os.File
	ended  chan struct{}
}

// An Open is one file of an image that was opened.
type Open struct {
	Name  string   // its real name, as the container has it
	Run   bool     // it was run as a program
	Links []string // names of links to it in the directories where programs are looked for; only told with Run
}

// watchOpens begins to watch the file system mounted at root.
func watchOpens(root string, tell func(Open)) (*watch, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE,
		unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fanotify_init", err)
	}
	err = unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN|unix.FAN_OPEN_EXEC, unix.AT_FDCWD, root)
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fanotify_mark", err)
	}
	w := &watch{os.NewFile(uintptr(fd), "fanotify"), make(chan struct{})}
	go func() {
		defer close(w.ended)
		buf := make([]byte, 64<<10)
		for {
			n, err := w.events.Read(buf)
			if err != nil || n == 0 {
				return
			}
			readEvents(buf[:n], root, tell)
		}
	}()
	return w, nil
}

// close ends the watch; nothing is told any more when it returns.
func (w *watch) close() {
	w.events.Close()
	<-w.ended
}

// eventSize is that of struct fanotify_event_metadata: event_len u32, vers u8,
// reserved u8, metadata_len u16, mask u64, fd s32, pid s32.
const eventSize = 24

// readEvents tells what is in b, as the kernel wrote it, and closes the
// descriptors that come with it.
func readEvents(b []byte, root string, tell func(Open)) {
	for len(b) >= eventSize {
		size := int(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint64(b[8:])
		fd := int32(binary.NativeEndian.Uint32(b[16:]))
		if size < eventSize || size > len(b) {
			return
		}
		b = b[size:]
		if fd < 0 {
			continue // FAN_NOFD: the queue ran over
		}
		name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd)))
		unix.Close(int(fd))
		if err == nil {
			if name, ok := inside(name, root); ok {
				o := Open{Name: name, Run: mask&unix.FAN_OPEN_EXEC != 0}
				if o.Run {
					o.Links = linksTo(root, name)
				}
				tell(o)
			}
		}
	}
}

// inside gives a name as the container has it. Before the runtime has moved into
// the root, its names begin with where that is mounted. A file that is gone has
// none.
func inside(name, root string) (string, bool) {
	if rest, ok := strings.CutPrefix(name, root+"/"); ok {
		name = "/" + rest
	}
	return name, path.IsAbs(name) && !strings.HasSuffix(name, " (deleted)") && !strings.HasPrefix(name, "/.road/")
}

// inLayers says whether an image has a file of that name. The names that the
// kernel gives lead over no link.
func inLayers(lowers []string, name string) bool {
	return slices.ContainsFunc(lowers, func(dir string) bool {
		st, err := os.Lstat(filepath.Join(dir, name))
		return err == nil && st.Mode().IsRegular()
	})
}

// linksTo gives the links to a program in the directories where runtimes look.
func linksTo(root, name string) []string {
	var out []string
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		real, err := securejoin.SecureJoin(root, dir)
		if err != nil || real != filepath.Join(root, dir) {
			continue // a link to another of them
		}
		list, _ := os.ReadDir(real) // one that is not there has none
		for _, d := range list {
			link := path.Join(dir, d.Name())
			if d.Type() != os.ModeSymlink {
				continue
			}
			if to, err := securejoin.SecureJoin(root, link); err == nil && to == filepath.Join(root, name) {
				out = append(out, link)
			}
		}
	}
	return out
}
