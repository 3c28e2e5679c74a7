package world

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFavour has the weight of one run, and of nothing else, raised for a while.
func TestFavour(t *testing.T) {
	for _, c := range []struct {
		file, usual, raised string
		more                []string
	}{
		{"cpu/road-a/cpu.shares", "1024", "102400", nil},
		{"road-a/cpu.weight", "100", "10000", []string{"cgroup.controllers"}},
	} {
		root := tree(t, append(c.more, c.file)...)
		if err := os.WriteFile(filepath.Join(root, c.file), []byte(c.usual+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		undo, err := favour(root, "/road-a", favoured)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{c.file: c.raised}, contents(t, root)); d != "" {
			t.Errorf("favoured:\n%s", d)
		}
		if err := undo(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]string{c.file: c.usual}, contents(t, root)); d != "" {
			t.Errorf("afterwards:\n%s", d)
		}
		if _, err := favour(root, "/road-b", favoured); err == nil {
			t.Error("a run that is not there is favoured")
		}
	}
}

// TestWeigh gives a weight where the host has weights, and is no fault elsewhere.
func TestWeigh(t *testing.T) {
	root := tree(t, "cpu/road-a/cpu.shares")
	for _, group := range []string{"/road-a", "/road-b"} {
		if err := weigh(root, group, 3); err != nil {
			t.Error(err)
		}
	}
	if d := cmp.Diff(map[string]string{"cpu/road-a/cpu.shares": fmt.Sprint(3 * 1024)}, contents(t, root)); d != "" {
		t.Error(d)
	}
}
