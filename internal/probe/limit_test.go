package probe

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A runtime that hangs while it starts the probe must not hang the walk.
func TestNewClientDoesNotWaitForever(t *testing.T) {
	defer func(d time.Duration) { firstWord = d }(firstWord)
	firstWord = 50 * time.Millisecond
	ours, theirs := net.Pipe()
	defer theirs.Close()
	done := make(chan error, 1)
	go func() { _, err := NewClient(ours); done <- err }()
	select {
	case err := <-done:
		if !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "silent") {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("NewClient still waits")
	}
}

// Others in the container can write to the probe's output.
func TestReadLineIsBounded(t *testing.T) {
	in := bufio.NewReaderSize(strings.NewReader("short\n"+strings.Repeat("x", 99)+"\n"+strings.Repeat("x", 100)+"\nend"), 16)
	for _, want := range []int{6, 100} {
		if line, err := readLine(in, 100); err != nil || len(line) != want {
			t.Errorf("%d bytes, want %d: %v", len(line), want, err)
		}
	}
	if line, err := readLine(in, 100); err == nil || err == io.EOF {
		t.Errorf("%d bytes pass: %v", len(line), err)
	}
}
