// Package demo is the application of the road at 1.0, so that road can walk it
// from any folder. The application lies beside this file, as a user's would:
// app is a Go module of its own, whose files go:embed does not reach, so an
// archive of it all is embedded instead. A test says when the archive is stale.
package demo

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
)

//go:generate go test -run TestArchive -update

//go:embed demo.zip
var archive []byte

// FS gives the application's files: app, redis, manifests and road.yaml.
func FS() fs.FS {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		panic(fmt.Sprintf("demo: the embedded archive: %v", err)) // a fault of the build, which the test finds
	}
	return r
}

// Extract writes the application's files below dir, which is made where it does
// not exist. It never overwrites a file.
func Extract(dir string) error { return os.CopyFS(dir, FS()) }
