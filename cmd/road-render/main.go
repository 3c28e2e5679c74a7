// Road-render renders kustomizations and Helm charts: requests on standard input,
// one a line, answers on standard output. Road starts it; package render is the
// language. It is a program of its own because the libraries are large, and road
// is not.
package main

import (
	"fmt"
	"os"

	"road/internal/render/build"
)

func main() {
	if err := build.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "road-render:", err)
		os.Exit(1)
	}
}
