#!/bin/sh
# Install the Debian packages that a list names, when root; name them otherwise.
# usage: test_packages.sh LIST
set -eu
missing=
for package in $(sed 's/#.*//' "$1"); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "the tests need these Debian packages; install them first: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing the Debian packages that the tests need:$missing"
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
