package pod

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// A watch tells which files of a container's root file system are opened, and
// which of them are run, by the kernel's fanotify. It sees every process in the
// container, and the runtime while it starts one. Volumes and what the kubelet
// mounts are other file systems, and not seen.
type watch struct {
	events  *os.File
	root    string
	tell    func(Open)
	lose    func(error) // told why not everything is told, after which nothing is
	ended   chan struct{}
	closing atomic.Bool

	mu    sync.Mutex          // below: who reads
	links map[string][]string // by program
	lost  bool
}

// An Open is one file of an image that was opened.
type Open struct {
	Name  string   // its real name, as the container has it
	Run   bool     // it was run as a program
	Links []string // names of links to it in the directories where programs are looked for; only told with Run
}

// watchOpens begins to watch the file system mounted at root.
func watchOpens(root string, tell func(Open), lose func(error)) (*watch, error) {
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
	w := &watch{
		events: os.NewFile(uintptr(fd), "fanotify"), root: root, tell: tell, lose: lose,
		ended: make(chan struct{}), links: map[string][]string{},
	}
	go w.follow()
	return w, nil
}

// follow tells what happens until the watch is closed, or something is lost.
func (w *watch) follow() {
	defer close(w.ended)
	raw, err := w.events.SyscallConn()
	if err == nil {
		err = raw.Read(func(fd uintptr) bool {
			for w.read(int(fd)) > 0 {
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.lost
		})
	}
	if err != nil && !w.closing.Load() {
		w.mu.Lock()
		w.fail(err)
		w.mu.Unlock()
	}
}

// drain tells what has happened by now. What happens meanwhile may be told too.
func (w *watch) drain() {
	raw, err := w.events.SyscallConn()
	if err != nil {
		return // closed
	}
	// An error says that it is closed, and was drained then.
	_ = raw.Control(func(fd uintptr) {
		// Also known as FIONREAD.
		waiting, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		if err != nil {
			w.mu.Lock()
			w.fail(os.NewSyscallError("fanotify", err))
			w.mu.Unlock()
		}
		for waiting >= 0 {
			n := w.read(int(fd))
			if n == 0 {
				return
			}
			waiting -= n
		}
	})
}

// read tells what is there to read, a little of it, and gives how many bytes that
// was. Each event comes with a descriptor, of which a process has not many.
func (w *watch) read(fd int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lost {
		return 0
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := unix.Read(fd, buf)
		switch {
		case err == unix.EINTR, err == unix.ENXIO, err == unix.ENODEV:
			continue // the last two: of a device without driver, which is no file of an image
		case err == unix.EAGAIN:
			return 0
		case err == nil && n == 0:
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			err = w.readEvents(buf[:n])
		}
		if err != nil {
			w.fail(os.NewSyscallError("fanotify", err))
			return 0
		}
		return n
	}
}

// fail gives up: an image made of what is told would lack files.
func (w *watch) fail(err error) {
	if !w.lost {
		w.lost = true
		w.lose(err)
	}
}

// close ends the watch; nothing is told any more when it returns.
func (w *watch) close() {
	w.drain()
	w.closing.Store(true)
	w.events.Close()
	<-w.ended
}

// eventSize is that of struct fanotify_event_metadata: event_len u32, vers u8,
// reserved u8, metadata_len u16, mask u64, fd s32, pid s32.
const eventSize = 24

// readEvents tells what is in b, as the kernel wrote it, and closes the
// descriptors that come with it.
func (w *watch) readEvents(b []byte) error {
	var errs []error
	for len(b) >= eventSize {
		size := int(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint64(b[8:])
		fd := int32(binary.NativeEndian.Uint32(b[16:]))
		if size < eventSize || size > len(b) {
			return errors.New("an event has no length")
		}
		b = b[size:]
		if fd < 0 {
			// FAN_NOFD: the queue ran over, or the file could not be opened for us.
			errs = append(errs, fmt.Errorf("an event (%#x) does not say of which file", mask))
			continue
		}
		name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd)))
		unix.Close(int(fd))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if name, ok := inside(name, w.root); ok {
			o := Open{Name: name, Run: mask&unix.FAN_OPEN_EXEC != 0}
			if o.Run {
				o.Links = w.linksTo(name)
			}
			w.tell(o)
		}
	}
	return errors.Join(errs...)
}

// linksTo remembers the links to a program: it may be run often.
func (w *watch) linksTo(name string) []string {
	l, ok := w.links[name]
	if !ok {
		l = linksTo(w.root, name)
		w.links[name] = l
	}
	return l
}

// Opened waits until all that the pod's containers have opened by now is told.
func (p *Pod) Opened() {
	for _, c := range p.all {
		if a := c.current(); a != nil && a.watch != nil {
			a.watch.drain()
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
