#!/bin/sh
# Writes the site's configuration from the environment, and hands the cache over
# to the user of nginx's workers.
set -e

export SERVER_NAME="${SERVER_NAME:-localhost}"
envsubst '$SERVER_NAME' </etc/nginx/site.conf.template >/etc/nginx/sites-enabled/default

mkdir -p /var/cache/nginx
chown -R www-data:www-data /var/cache/nginx

exec "$@"
