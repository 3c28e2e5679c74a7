package image

import (
	"context"
	"fmt"
	"os"
	"testing"

	"road/internal/app"
)

// TestMain lets the test binary be the builder, and a process that builds.
func TestMain(m *testing.M) {
	Main()
	if content := os.Getenv("ROAD_TEST_BUILD"); content != "" {
		if err := buildFor(os.Getenv("ROAD_TEST_STORE"), content); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("done")
		return
	}
	status := m.Run()
	if dir, err := privateDir(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(status)
}

func buildFor(store, content string) error {
	s, err := Open(Options{Dir: store, CgroupParent: "/road-image-test"})
	if err != nil {
		return err
	}
	defer s.Close()
	root, err := os.MkdirTemp("", "road-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	b := &app.Build{Context: ".", Dockerfile: &app.Dockerfile{File: "Dockerfile", Content: []byte(content)}}
	_, err = s.Build(context.Background(), "other", root, b, func(l string) { fmt.Println(l) })
	return err
}
