package world

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"road/internal/lock"

	"golang.org/x/sys/unix"
)

// Files and directories of a run in runs/ID below the state directory, and its
// lock beside it, runs/ID.lock. The lock is made before and removed after
// everything else of the run.
const (
	diskName   = "disk"     // what the world sees
	recordFile = "run.json" // a record
	infoFile   = "info.json"
	logFile    = "log"
	lockSuffix = ".lock"
	idPrefix   = "road-"
)

// patience is how long the remains of a world may resist: its processes let go
// of the lock a little before they are gone.
const patience = 2 * time.Second

// StateDir is where state is kept when no other place is asked for: what the
// variable ROAD_STATE says, else /var/lib/road.
func StateDir() string {
	if d := os.Getenv("ROAD_STATE"); d != "" {
		return d
	}
	return "/var/lib/road"
}

func runsDir(state string) string { return filepath.Join(state, "runs") }

// openState makes the state directory and the one of the runs. Nobody but root
// may reach the runs: attacks leave setuid files and devices there.
func openState(state string) (string, error) {
	if state == "" {
		state = StateDir()
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return "", fmt.Errorf("state directory: %w", err)
	}
	if err := os.Mkdir(runsDir(state), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("state directory: %w", err)
	}
	for _, d := range []string{state, runsDir(state)} {
		var st unix.Stat_t
		if err := unix.Lstat(d, &st); err != nil {
			return "", fmt.Errorf("state directory %s: %w", d, err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 {
			return "", fmt.Errorf("state directory %s: not a directory of root's", d)
		}
	}
	return state, os.Chmod(runsDir(state), 0o700)
}

// A run is one world seen from outside, with its lock held.
type run struct {
	id, state, dir string
	lock           *os.File
}

// record is what a run says of itself.
type record struct {
	PID      int       `json:"pid"`  // PID 1 of the world, as the host counts
	Boot     uint64    `json:"boot"` // when that started, in clock ticks after the host did
	Started  time.Time `json:"started"`
	Detached bool      `json:"detached,omitempty"`
}

// newRun makes a run with a name of its own, its directory and its cgroups.
func newRun(state string) (*run, error) {
	for {
		var b [4]byte
		rand.Read(b[:])
		id := idPrefix + hex.EncodeToString(b[:])
		lock, err := lockNew(filepath.Join(runsDir(state), id+lockSuffix))
		if err != nil {
			return nil, err
		}
		if lock == nil {
			continue // taken, or swept before we could lock it
		}
		r := &run{id: id, state: state, dir: filepath.Join(runsDir(state), id), lock: lock}
		if err := r.fill(); err != nil {
			return nil, errors.Join(err, r.remove())
		}
		return r, nil
	}
}

// fill makes what a run has outside its world.
func (r *run) fill() error {
	if err := makeDir(r.dir, 0o711); err != nil {
		return err
	}
	if err := makeDir(filepath.Join(r.dir, diskName), 0o711); err != nil {
		return err
	}
	return makeCgroups(cgroupRoot, r.id)
}

// makeDir makes one directory with exactly this mode, whatever the umask is.
func makeDir(name string, mode os.FileMode) error {
	if err := os.Mkdir(name, mode); err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// record writes down which process the run is.
func (r *run) record(pid int, detached bool) error {
	boot, err := startTime(pid)
	if err != nil {
		return err
	}
	b, err := json.Marshal(record{PID: pid, Boot: boot, Started: time.Now().Round(time.Second), Detached: detached})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(r.dir, recordFile), b)
}

// remove takes away everything that a dead run left, and then its lock.
func (r *run) remove() error {
	deadline := time.Now().Add(patience)
	err := removeCgroups(cgroupRoot, r.id, deadline)
	if e := removeAll(r.dir, deadline); e != nil {
		err = errors.Join(err, e)
	}
	if err == nil {
		err = os.Remove(filepath.Join(runsDir(r.state), r.id+lockSuffix))
	}
	r.lock.Close()
	return err
}

// removeAll tries again while processes on their way out still write.
func removeAll(dir string, deadline time.Time) error {
	for {
		err := os.RemoveAll(dir)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		if errors.Is(err, fs.ErrPermission) {
			release(dir)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// release takes away from what is below a directory the flags of chattr(1) that
// keep even root from removing it. What it cannot do, removing tells.
func release(dir string) {
	const held = unix.STATX_ATTR_IMMUTABLE | unix.STATX_ATTR_APPEND // as in FS_IOC_GETFLAGS
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return nil
		}
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil
		}
		defer unix.Close(fd)
		if flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS); err == nil && flags&held != 0 {
			_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags&^held))
		}
		return nil
	})
}

// lockNew makes and locks a lock file, nil if someone else was faster.
func lockNew(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return locked(f)
}

// lockOld locks the lock file of a run, nil if the run lives or is gone.
func lockOld(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return locked(f)
}

// locked takes the lock on f without waiting. A file that was removed in the
// meantime is no lock any more.
func locked(f *os.File) (*os.File, error) {
	err := lock.Alone(f)
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(int(f.Fd()), &st)
	}
	if err == nil && st.Nlink > 0 {
		return f, nil
	}
	f.Close()
	if errors.Is(err, lock.ErrBusy) || err == nil {
		return nil, nil
	}
	return nil, err
}

// ids lists the runs that have a lock file, dead or alive.
func ids(state string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(runsDir(state), idPrefix+"*"+lockSuffix))
	if err != nil {
		return nil, err
	}
	for i, n := range names {
		names[i] = strings.TrimSuffix(filepath.Base(n), lockSuffix)
	}
	return names, nil
}
