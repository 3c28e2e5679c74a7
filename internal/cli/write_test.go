package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// A signal that comes while files are written ends the program only when all of
// them are.
func TestWhole(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if signal.Ignored(s) { // as under nohup
			continue
		}
		done := false
		err := whole(func() error {
			seen := make(chan os.Signal, 1)
			signal.Notify(seen, s)
			defer signal.Stop(seen)
			if err := syscall.Kill(os.Getpid(), s); err != nil {
				t.Fatal(err)
			}
			<-seen
			done = true
			return nil
		})
		if !done || !errors.Is(err, context.Canceled) || statusOf(err) != Interrupted {
			t.Errorf("%v: done %v, %v", s, done, err)
		}
	}
	if err := whole(func() error { return os.ErrExist }); err != os.ErrExist {
		t.Errorf("without a signal: %v", err)
	}
}
