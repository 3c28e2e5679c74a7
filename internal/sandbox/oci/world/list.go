package world

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Run is a living world, seen from outside.
type Run struct {
	ID       string
	PID      int // of the world's PID 1, as the host counts
	Started  time.Time
	Detached bool
	Info     json.RawMessage // what its worker gave to Ready, nil before
}

// List gives the living runs below a state directory; "" means StateDir.
func List(state string) ([]Run, error) {
	if state == "" {
		state = StateDir()
	}
	names, err := ids(state)
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, id := range names {
		lock, err := lockOld(filepath.Join(runsDir(state), id+lockSuffix))
		if err != nil {
			return nil, err
		}
		if lock != nil { // dead
			lock.Close()
			continue
		}
		dir := filepath.Join(runsDir(state), id)
		rec, err := readRecord(dir)
		if err != nil {
			continue // on its way in or out
		}
		info, _ := os.ReadFile(filepath.Join(dir, infoFile)) // none before Ready
		runs = append(runs, Run{ID: id, PID: rec.PID, Started: rec.Started, Detached: rec.Detached, Info: info})
	}
	return runs, nil
}

func readRecord(dir string) (record, error) {
	var rec record
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err == nil {
		err = json.Unmarshal(b, &rec)
	}
	return rec, err
}

// End ends a run at once, and removes what it left. A run that is gone already
// is no error.
func End(state, id string) error {
	if state == "" {
		state = StateDir()
	}
	if !strings.HasPrefix(id, idPrefix) || strings.ContainsAny(id, "/.") {
		return fmt.Errorf("%q is not the name of a run", id)
	}
	rec, err := readRecord(filepath.Join(runsDir(state), id))
	if err == nil {
		err = kill(rec)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("end %s: %w", id, err)
	}
	// Its own supervisor may be faster; then there is nothing left to remove.
	name := filepath.Join(runsDir(state), id+lockSuffix)
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(2 * time.Millisecond) {
		lock, err := lockOld(name)
		if err != nil {
			return err
		}
		if lock != nil {
			r := &run{id: id, state: state, dir: filepath.Join(runsDir(state), id), lock: lock}
			return r.remove()
		}
		if _, err := os.Lstat(name); err != nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("end %s: it still runs", id)
		}
	}
}

// kill ends the process of a record, if it is still that process, and waits for
// its end.
func kill(rec record) error {
	fd, err := unix.PidfdOpen(rec.PID, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// With the descriptor open the number cannot be given to another process.
	if boot, err := startTime(rec.PID); err != nil || boot != rec.Boot {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return err
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(poll, int(patience/time.Millisecond)); err != unix.EINTR {
			return err
		}
	}
}

// Sweep removes what dead runs left below a state directory, and says how many
// there were. Living runs are not touched.
func Sweep(state string) (n int, err error) {
	if state == "" {
		state = StateDir()
	}
	names, err := ids(state)
	if err != nil {
		return 0, err
	}
	for _, id := range names {
		lock, e := lockOld(filepath.Join(runsDir(state), id+lockSuffix))
		if e != nil {
			err = errors.Join(err, e)
		}
		if lock == nil {
			continue
		}
		r := &run{id: id, state: state, dir: filepath.Join(runsDir(state), id), lock: lock}
		if e := r.remove(); e != nil {
			err = errors.Join(err, fmt.Errorf("remove what %s left: %w", id, e))
			continue
		}
		n++
	}
	return n, err
}

// startTime is when a process started, in clock ticks after the host did: with
// its number it names one process for good.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; 20 fields lie between it and
	// the start time.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: too short", pid)
	}
	return strconv.ParseUint(string(f[19]), 10, 64)
}

// field reads the number behind a key in a file of lines such as "Pid:\t12".
func field(b []byte, key string) (int, error) {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(key)); ok {
			return strconv.Atoi(string(bytes.TrimSpace(rest)))
		}
	}
	return 0, fmt.Errorf("no line %q", key)
}
