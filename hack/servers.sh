#!/bin/bash
# servers.sh DIR: walks every application in examples/servers and leaves the report
# of each in DIR. Minutes for each.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
for dir in examples/servers/*/; do
	name=$(basename "$dir")
	echo "== $name" >&2
	# Status 1 is a step that was left out.
	./bin/road walk -q -o json "$dir" > "$1/$name.json" || [ $? = 1 ]
done
