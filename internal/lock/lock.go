// Package lock holds files and folders for a process. The kernel ends a lock with
// the open file, and so with the process however that ends.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another open file has the lock.
var ErrBusy = errors.New("locked by another process")

// Poll is how often Wait tries.
const Poll = 20 * time.Millisecond

// Alone locks f for itself; ErrBusy where another has it, in either way.
func Alone(f *os.File) error { return try(f, unix.LOCK_EX) }

// Shared locks f together with others who share it; ErrBusy where one has it for
// itself.
func Shared(f *os.File) error { return try(f, unix.LOCK_SH) }

func try(f *os.File, how int) error {
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrBusy
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// Wait is Alone, once whoever has the lock has let it go; waiting is told of that
// once. It tries again and again, so that ctx can end the wait.
func Wait(ctx context.Context, f *os.File, waiting func()) error {
	for first := true; ; first = false {
		err := Alone(f)
		if !errors.Is(err, ErrBusy) {
			return err
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(Poll):
		}
	}
}
