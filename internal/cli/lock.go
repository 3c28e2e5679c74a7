package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errBusy says that another process holds a lock.
var errBusy = errors.New("locked by another process")

// lock holds a folder for this process, until the file is closed or the process
// ends. It leaves nothing in it. Where the file system has no locks there is an
// error other than errBusy, which the caller may pass over.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errBusy
	}
	return nil, err
}

// await is lock, once whoever else holds the folder has let it go; waiting is told
// of that once.
func await(ctx context.Context, dir string, waiting func()) (*os.File, error) {
	for first := true; ; first = false {
		f, err := lock(dir)
		if !errors.Is(err, errBusy) {
			return f, err
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
