package image

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"road/internal/lock"
)

// lockStore keeps file locked, together with others, until it is closed or the
// process ends. alone says that there were no others. Only who prunes keeps
// everybody out; until then waiting is called, whose error ends the wait.
func lockStore(file string, waiting func() error) (held io.Closer, alone bool, err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	alone = lock.Alone(f) == nil
	for {
		err := lock.Shared(f)
		if err == nil {
			return f, alone, nil
		}
		if errors.Is(err, lock.ErrBusy) {
			time.Sleep(lock.Poll)
			if waiting == nil {
				continue
			}
			if err = waiting(); err == nil {
				continue
			}
		}
		f.Close()
		return nil, false, err
	}
}

// lockAlone locks file for this caller alone; waiting is called once if another
// has it.
func lockAlone(ctx context.Context, file string, waiting func()) (*os.File, error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock.Wait(ctx, f, waiting); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
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
		err = lock.Shared(f)
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
		if lock.Alone(f) == nil {
			os.RemoveAll(name)
		}
		f.Close()
	}
}
