#!/bin/bash
# Says what gofmt, vet and staticcheck (the module and version in $1) have to say
# about the code, vendored code aside.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(find . -name vendor -prune -o -name '*.go' -print0 |
	xargs -0 "$(hack/go env GOROOT)/bin/gofmt" -l)
if [ -n "$unformatted" ]; then
	printf 'not formatted, run gofmt -w:\n%s\n' "$unformatted" >&2
	exit 1
fi
hack/go vet ./...
hack/go run "$1" ./...
cd demo/app
GOTOOLCHAIN=local ../../hack/go vet ./...
../../hack/go run "$1" ./...
