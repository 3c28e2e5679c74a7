package walk

import (
	"context"
	"errors"
	"strings"
	"testing"

	"road/internal/app"
)

const webPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: 'registry.example/web:1'}]}\n"

// withBroken is an application of one image and Dockerfiles that cannot be read.
func withBroken(t *testing.T, dockerfiles ...string) *app.App {
	files := map[string][]byte{"web.yaml": []byte(webPod)}
	for _, name := range dockerfiles {
		files[name] = []byte("FROM scratch\nNOSUCH x\n")
	}
	a, err := app.LoadFiles("shop", files)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestUnread has the Dockerfile of an image blamed where it could not be read, any
// such where none is known to be that of the image, and nobody where there is none.
func TestUnread(t *testing.T) {
	const wrong = ":2: not a Dockerfile: unknown instruction: NOSUCH: "
	cause := errors.New("cannot get it")
	for _, tt := range []struct {
		name, want  string
		dockerfiles []string
	}{
		{"its own", "web/Dockerfile" + wrong + "the Dockerfile of image registry.example/web:1 could not be read, and cannot get it", []string{"a/Dockerfile", "web/Dockerfile"}},
		{"perhaps its own", "a/Dockerfile" + wrong + "nothing is built from this file, and cannot get it", []string{"a/Dockerfile", "b/Dockerfile"}},
		{"none", "cannot get it", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := unread(context.Background(), withBroken(t, tt.dockerfiles...), cause); got.Error() != tt.want || !errors.Is(got, cause) {
				t.Errorf("%v\nwant %v", got, tt.want)
			}
		})
	}
}

// TestOutlineUnread says of no image that it is pulled where its Dockerfile is here.
func TestOutlineUnread(t *testing.T) {
	out := string(Outline(withBroken(t, "web/Dockerfile")))
	if !strings.Contains(out, "registry.example/web:1: its Dockerfile could not be read: web/Dockerfile:2: ") || strings.Contains(out, "is pulled") {
		t.Error(out)
	}
}
