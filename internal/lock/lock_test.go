package lock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	a, b, c := open(t, name), open(t, name), open(t, name)
	for _, f := range []*os.File{a, b} {
		if err := Shared(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := Alone(c); !errors.Is(err, ErrBusy) {
		t.Errorf("beside two who share: %v", err)
	}
	a.Close()
	told := 0
	if err := Wait(t.Context(), c, func() { told++; b.Close() }); err != nil || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
	d := open(t, name)
	if err := Shared(d); !errors.Is(err, ErrBusy) {
		t.Errorf("beside one alone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Wait(ctx, d, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
}
