#!/bin/sh
set -e
mkdir -p /tmp/state
exec perl /srv/server.pl "started by a script as $(id -u)"
