package cli

import (
	"context"
	"os"

	"road/internal/lock"
)

// hold holds a folder for this process, until the file is closed or the process
// ends. It leaves nothing in it. Where the file system has no locks there is an
// error other than lock.ErrBusy, which the caller may pass over.
func hold(dir string) (*os.File, error) { return opened(dir, lock.Alone) }

// await is hold, once whoever else holds the folder has let it go; waiting is told
// of that once.
func await(ctx context.Context, dir string, waiting func()) (*os.File, error) {
	return opened(dir, func(f *os.File) error { return lock.Wait(ctx, f, waiting) })
}

func opened(dir string, take func(*os.File) error) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := take(f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
