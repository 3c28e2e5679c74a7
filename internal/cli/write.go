package cli

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"road/internal/edit"
)

// writeFiles puts files on disk, all of them even where it is asked to end
// meanwhile: a part of them may be worse than none. It returns context.Canceled
// then, when they are written.
func writeFiles(root string, files edit.Files) error {
	return whole(func() error { return edit.Write(root, files) })
}

// whole does what must not end halfway. Signals that would end the program wait for
// it; those that it was told to ignore, as by nohup, stay ignored.
func whole(do func() error) error {
	ends := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored)
	asked := make(chan os.Signal, 1)
	if len(ends) > 0 { // none would stand for all
		signal.Notify(asked, ends...)
	}
	err := do()
	signal.Stop(asked)
	if len(asked) > 0 && err == nil {
		return context.Canceled
	}
	return err
}
