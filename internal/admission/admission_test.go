package admission

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script speaks as the program does, badly: it says nothing, or ends.
const script = `#!/bin/sh
while read -r line; do
	case "$line" in
	*silent*) exec sleep 60 ;;
	*mortal*) printf 'one\npanic: of old age\n\ngoroutine 1\n' >&2; exit 2 ;;
	*) echo '{"allowed": true}' ;;
	esac
done
`

func lame(t *testing.T) *Judge {
	t.Helper()
	program := filepath.Join(t.TempDir(), Program)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	j, err := Start(program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// A program that failed, or was not waited for, does not fail the next who asks.
func TestAskAnew(t *testing.T) {
	j := lame(t)
	answers := func() {
		t.Helper()
		if a, err := j.Ask(t.Context(), Request{User: "lively"}); err != nil || !a.Allowed {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	answers()
	if _, err := j.Ask(t.Context(), Request{User: "mortal"}); err == nil || !strings.Contains(err.Error(), "panic: of old age") || strings.Contains(err.Error(), "goroutine") {
		t.Errorf("the program's own word: %v", err)
	}
	answers()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := j.Ask(ctx, Request{User: "silent"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("not waited for: %v", err)
	}
	answers()
	if _, err := j.Ask(ctx, Request{User: "late"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("asked too late: %v", err)
	}
	answers()
	j.Close()
	if _, err := j.Ask(t.Context(), Request{}); err == nil {
		t.Error("it answers after its end")
	}
}

// Who gives up does not wait for another one's answer.
func TestAskInTurn(t *testing.T) {
	j := lame(t)
	first, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := j.Ask(first, Request{User: "silent"})
		done <- err
	}()
	for len(j.turn) == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, give := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer give()
	if _, err := j.Ask(ctx, Request{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	select {
	case err := <-done:
		t.Errorf("the first was not left alone: %v", err)
	default:
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
