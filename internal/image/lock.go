package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockStore keeps file locked, together with others, until it is closed or the
// process ends. alone says that there were no others. Only who prunes keeps
// everybody out; until then waiting is called, whose error ends the wait.
func lockStore(file string, waiting func() error) (lock io.Closer, alone bool, err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	alone = flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil
	for {
		err := flock(f, unix.LOCK_SH|unix.LOCK_NB)
		if err == nil {
			return f, alone, nil
		}
		if errors.Is(err, unix.EWOULDBLOCK) {
			time.Sleep(poll)
			if waiting == nil {
				continue
			}
			if err = waiting(); err == nil {
				continue
			}
		}
		f.Close()
		return nil, false, fmt.Errorf("lock %s: %w", file, err)
	}
}

// poll is how often a lock that another holds is tried.
const poll = 20 * time.Millisecond

// lockAlone locks file for this caller alone; waiting is called once if another
// has it. It polls, so that ctx can end the wait.
func lockAlone(ctx context.Context, file string, waiting func()) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		if !told {
			told = true
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(poll):
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// tempDir makes a work directory that sweepTemp of any process removes once it
// is no longer held; done removes it now.
func (s *Store) tempDir(kind string) (dir string, done func(), err error) {
	dir, err = os.MkdirTemp(filepath.Join(s.o.Dir, "tmp"), kind+"-")
	if err != nil {
		return "", nil, s.explain(err)
	}
	f, err := os.Open(dir)
	if err == nil {
		err = flock(f, unix.LOCK_SH)
	}
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, func() { os.RemoveAll(dir); f.Close() }, nil
}

// sweepTemp removes what killed processes left in tmp. The age spares
// directories in the moment between being made and being locked.
func (s *Store) sweepTemp() {
	entries, _ := os.ReadDir(filepath.Join(s.o.Dir, "tmp"))
	for _, e := range entries {
		name := filepath.Join(s.o.Dir, "tmp", e.Name())
		if fi, err := e.Info(); err != nil || time.Since(fi.ModTime()) < time.Minute {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(name)
		}
		f.Close()
	}
}
