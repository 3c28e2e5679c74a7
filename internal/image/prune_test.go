package image

import (
	"archive/tar"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"road/internal/sandbox/sandboxtest"
)

// age makes everything that the store keeps beside BuildKit's cache look as if
// nobody had used it for an hour.
func age(t *testing.T, dir string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	for _, pattern := range []string{"bases/*/" + baseRecordFile, "pulled/*"} {
		names, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, name := range names {
			if err := os.Chtimes(name, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func names(t *testing.T, dir, pattern string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestSandboxPrune prunes a store of its own: never what is in use or was used
// lately, all of the rest; what it took away comes again.
func TestSandboxPrune(t *testing.T) {
	sandboxtest.Need(t, "runc")
	addr, _ := testRegistry(t)
	push(t, addr+"/base:1", odd(t))
	push(t, addr+"/run:1", imageOf(t, layerOf(t, &tar.Header{Name: "run"})))
	dir := t.TempDir()
	build := func() {
		t.Helper()
		s := tempStore(t, dir)
		defer s.Close()
		root, b := writeBuild(t, "FROM "+addr+"/base:1\nCOPY file /file\n", map[string]string{"file": "content"})
		out, err := s.Build(t.Context(), "web:1", root, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := layers(out.Lowers).read("/file", 100); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
		run, err := s.Pull(t.Context(), addr+"/run:1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := layers(run.Lowers).read("/run", 100); err != nil || string(got) != "run" {
			t.Errorf("%q, %v", got, err)
		}
	}
	prune := func(unused time.Duration) *Pruned {
		t.Helper()
		p, err := Prune(t.Context(), Options{Dir: dir, CgroupParent: "/road-image-test"}, unused)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const snapshots = "bk/runc-overlayfs/snapshots/snapshots/*"
	build()
	if p := prune(30 * time.Minute); p.Total() != 0 || names(t, dir, snapshots) == 0 {
		t.Errorf("what was used just now is gone: %+v", p)
	}
	build()
	age(t, dir)
	s := tempStore(t, dir)
	if p, err := Prune(t.Context(), s.o, 0); !errors.Is(err, ErrInUse) || p != nil {
		t.Errorf("while it is in use: %+v, %v", p, err)
	}
	s.Close()
	if p := prune(30 * time.Minute); names(t, dir, snapshots) == 0 || p.Bases == 0 || p.Images == 0 || names(t, dir, "bases/*")+names(t, dir, "pulled/*") != 0 {
		t.Errorf("after an hour: %+v", p)
	}
	build()
	if p := prune(time.Nanosecond); p.Cache == 0 || names(t, dir, snapshots) != 0 {
		t.Errorf("BuildKit keeps %d snapshots: %+v", names(t, dir, snapshots), p)
	}
	build()
	if p := prune(0); p.Cache == 0 || p.Bases == 0 || p.Images == 0 || names(t, dir, "bk/*")+names(t, dir, "*/*") > 2 {
		t.Errorf("with all: %+v", p)
	}
	build()
}

// What a base's name stood for earlier goes, what it stands for now stays.
func TestPruneKeepsTheBaseOfNow(t *testing.T) {
	const ref = "registry.example.com/base:1"
	dir := t.TempDir()
	s := tempStore(t, dir)
	h := everywhere(s)
	for _, month := range []string{"january", "june"} {
		pushTo(t, h, ref, imageOf(t, layerOf(t, &tar.Header{Name: month})))
		s.asked = map[string]bool{}
		getBase(t, s, ref)
	}
	blobs := "bases/*/blobs/*/*"
	if n := names(t, dir, blobs); n != 6 {
		t.Fatalf("%d blobs of two images", n)
	}
	s.Close()
	p, err := Prune(t.Context(), Options{Dir: dir}, time.Hour)
	if err != nil || p.Bases == 0 || names(t, dir, blobs) != 3 {
		t.Errorf("%+v, %v; %d blobs are left", p, err, names(t, dir, blobs))
	}
	s = tempStore(t, dir)
	s.registry.offline = true
	getBase(t, s, ref)
}

// A walk that begins while the store is pruned waits, and can be ended meanwhile.
func TestOpenWaitsForPrune(t *testing.T) {
	dir := t.TempDir()
	tempStore(t, dir).Close()
	f, err := lockAlone(t.Context(), filepath.Join(dir, "lock"), func() {})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	enough := errors.New("enough")
	_, err = Open(Options{Dir: dir, Waiting: func() error {
		if calls++; calls == 3 {
			return enough
		}
		return nil
	}})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	first, err := Open(Options{Dir: dir, Waiting: func() error { f.Close(); return nil }})
	if err != nil || first.alone {
		t.Fatalf("after it: %v", err)
	}
	first.Close()
	for _, want := range []bool{true, false} {
		s, err := Open(Options{Dir: dir})
		if err != nil || s.alone != want {
			t.Fatalf("alone is not %v: %v", want, err)
		}
		defer s.Close()
	}
}
