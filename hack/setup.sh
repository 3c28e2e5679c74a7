#!/bin/bash
# Brings what building and running road need on a Debian or Ubuntu machine, and
# says what it installs. It says nothing and takes no time where all is there.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
missing=()

# need PACKAGE TEST...: the package is missing where the test fails.
need() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

need git command -v git
need make command -v make
need runc command -v runc
need mmdebstrap command -v mmdebstrap
need debian-archive-keyring test -e /usr/share/keyrings/debian-archive-keyring.gpg
need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
[ -x /usr/local/go/bin/go ] || need golang-go command -v go

if [ ${#missing[@]} -gt 0 ]; then
	install="apt-get install -y --no-install-recommends ${missing[*]}"
	if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
		echo "hack/setup.sh: missing: ${missing[*]}. Run as root on Debian or Ubuntu: $install" >&2
		exit 3
	fi
	echo "hack/setup.sh: installing from the distribution's packages: ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	wait=(-o DPkg::Lock::Timeout=300 -q)
	# A source that does not answer must not stop us: install says what is lacking.
	apt-get "${wait[@]}" update >&2 || echo "hack/setup.sh: some package lists could not be read" >&2
	apt-get "${wait[@]}" install -y --no-install-recommends "${missing[@]}" >&2
fi

"$here/go" version >/dev/null # fetches the toolchain where Debian's Go is older than go.mod asks
