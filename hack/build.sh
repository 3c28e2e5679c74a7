#!/bin/bash
# Builds road's programs into bin/ and shows how far that is: the first time it
# compiles BuildKit, Kubernetes' own rules and what they stand on, which takes
# minutes. The arguments go to go build. Packages that are built already are not
# told of, so the count may end early.
set -euo pipefail
cd "$(dirname "$0")/.."

all=$(hack/go list -deps ./cmd/... | wc -l)
echo "building road, $all packages: the first time takes minutes and about 1 GB of Go's caches, later ones seconds"

# go build -v names each package, on stderr; what is no name of one is for the user.
hack/go build -v "$@" -o bin/ ./cmd/... 2>&1 | {
	n=0
	while IFS= read -r line; do
		if [[ ! $line =~ ^[A-Za-z0-9._~/-]+$ ]]; then
			[ ! -t 1 ] || printf '\r\033[K'
			printf '%s\n' "$line" >&2
			continue
		fi
		n=$((n + 1))
		if [ -t 1 ]; then
			printf '\r\033[K%s' "compiled $n of $all"
		elif ((n % 100 == 0)); then
			echo "compiled $n of $all"
		fi
	done
	[ ! -t 1 ] || printf '\r\033[K'
}
