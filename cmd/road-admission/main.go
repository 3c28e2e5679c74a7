// Road-admission decides as a cluster's API server does whether an object is
// admitted: requests on standard input, one a line, answers on standard output.
// Road starts it; package admission is the language. It is a program of its own
// because Kubernetes' code for it is large, and road is not.
package main

import (
	"fmt"
	"os"

	"road/internal/admission/judge"
)

func main() {
	if err := judge.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "road-admission:", err)
		os.Exit(1)
	}
}
