#!/bin/sh
# Install Holdfast for the whole system. Run by `make install`; again to upgrade: the new version is built beside the old one
# and takes its place in one step. An admin's file is never overwritten.
# environment: PYTHON PREFIX DESTDIR PIP_ARGS
set -eu
PYTHON=${PYTHON:-python3} PREFIX=${PREFIX:-/opt/holdfast} DESTDIR=${DESTDIR:-} PIP_ARGS=${PIP_ARGS:-}
here=$(cd "$(dirname "$0")/.." && pwd)
say() { printf '%s\n' "$*"; }
fail() { printf 'make install: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || fail "must run as root; call: sudo make install"
case $PREFIX in /*) ;; *) fail "PREFIX is \"$PREFIX\"; write an absolute path" ;; esac
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "needs Python 3.11 or newer, and '$PYTHON' is $("$PYTHON" -V 2>&1 || :)"
"$PYTHON" -c 'import ensurepip' 2>/dev/null || fail "'$PYTHON' cannot make virtual environments; install them first: apt-get install python3-venv"

version=$(sed -n 's/^version *= *//p' "$here/setup.cfg" | head -n 1)
# The venv must lie where its scripts will look for it, so with DESTDIR it is made for the final path.
root=$DESTDIR$PREFIX
target=$PREFIX/versions/$version-$(date -u +%Y%m%dT%H%M%SZ)
umask 022
mkdir -p "$root/versions"
cleanup() { [ -e "$root/current" ] && [ "$(readlink "$root/current")" = "$target" ] || rm -rf "${DESTDIR:?}$target" 2>/dev/null || :; }
[ -n "$DESTDIR" ] || trap cleanup EXIT

say "building $target"
"$PYTHON" -m venv "$DESTDIR$target"
pip="$DESTDIR$target/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir"
# shellcheck disable=SC2086
$pip --require-hashes $PIP_ARGS -r "$here/requirements/run.lock"
# A copy is built, so that the source folder is left as it was found.
build=$(mktemp -d)
mkdir "$build/src"
for name in actions agent analysis collectors console contracts host settings setup.cfg pyproject.toml README.md LICENSE MANIFEST.in; do
    [ -e "$here/$name" ] && cp -R "$here/$name" "$build/src/$name"
done
rm -rf "$build"/src/*/*/_native
find "$build/src" -name __pycache__ -type d -prune -exec rm -rf {} +
# shellcheck disable=SC2086
$pip --no-deps --no-build-isolation --no-index "$build/src" || { rm -rf "$build"; fail "the package did not build"; }
rm -rf "$build"
# What `make native` built comes along; it is taken only where it was built of these sources for this Python.
library=$("$DESTDIR$target/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
built=0
for manifest in "$here"/*/*/_native/manifest.json; do
    [ -f "$manifest" ] || continue
    compiled=${manifest%/manifest.json}
    room=${compiled#"$here"/}
    cp -R "$compiled" "$library/${room%/_native}/"
    built=1
done
[ "$built" = 1 ] || say "the hot paths are not compiled; to have them faster: make native && sudo make install"
"$DESTDIR$target/bin/python" -m compileall -q "$DESTDIR$target/lib" -s "$DESTDIR" >/dev/null || :
if [ -n "$DESTDIR" ]; then
    find "$DESTDIR$target/bin" -type f -exec sed -i "1s|^#!$DESTDIR|#!|" {} +
    sed -i "s|$DESTDIR||g" "$DESTDIR$target/pyvenv.cfg"
fi

say "installing files"
put() { install -D -m "$1" "$2" "$DESTDIR$3"; }
for unit in "$here"/systemd/*.service "$here"/systemd/*.socket; do
    sed "s|/opt/holdfast/|$PREFIX/|g" "$unit" >"$root/.unit"
    put 0644 "$root/.unit" "/usr/lib/systemd/system/$(basename "$unit")"
done
rm -f "$root/.unit"
put 0644 "$here/systemd/holdfast.sysusers" /usr/lib/sysusers.d/holdfast.conf
put 0644 "$here/systemd/holdfast.tmpfiles" /usr/lib/tmpfiles.d/holdfast.conf
for page in "$here"/docs/man/*.[158]; do
    section=${page##*.}
    put 0644 "$page" "/usr/share/man/man$section/$(basename "$page")"
done
put 0644 "$here/docs/completions/holdfast.bash" /usr/share/bash-completion/completions/holdfast
put 0644 "$here/docs/completions/_holdfast" /usr/share/zsh/vendor-completions/_holdfast
put 0644 "$here/docs/completions/holdfast.fish" /usr/share/fish/vendor_completions.d/holdfast.fish

mkdir -p "$DESTDIR/etc/holdfast/agent.d" "$DESTDIR/usr/bin"
[ -z "$DESTDIR" ] && command -v systemd-sysusers >/dev/null && systemd-sysusers "$DESTDIR/usr/lib/sysusers.d/holdfast.conf"
for name in agent console; do
    put 0644 "$here/etc/$name.yaml" "/usr/share/doc/holdfast/$name.yaml.sample"
    file="$DESTDIR/etc/holdfast/$name.yaml"
    if [ -e "$file" ]; then
        say "kept $file (the new sample is in /usr/share/doc/holdfast)"
    else
        put 0640 "$here/etc/$name.yaml" "/etc/holdfast/$name.yaml"
        group=holdfast
        [ "$name" = agent ] || group=holdfast-$name
        [ -n "$DESTDIR" ] || chgrp "$group" "$file" 2>/dev/null || fail "there is no group $group; systemd-sysusers is needed"
    fi
done
ln -sfn "$PREFIX/current/bin/holdfast" "$DESTDIR/usr/bin/holdfast"

# The switch: one rename, so that there is always a whole version in place.
ln -sfn "$target" "$root/current.new"
mv -T "$root/current.new" "$root/current"
# The version before stays for going back; older ones go.
for old in $(ls -1t "$root/versions" | tail -n +3); do rm -rf "${root:?}/versions/$old"; done

if [ -z "$DESTDIR" ]; then
    command -v systemd-tmpfiles >/dev/null && systemd-tmpfiles --create holdfast.conf
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        systemctl try-restart holdfast-agent.service holdfast-console.service || :
    fi
fi
cat <<END
Holdfast $version is installed.
  console, on one server:   systemctl enable --now holdfast-console && holdfast console token create
  agent, on every server:   holdfast enroll https://CONSOLE:8444 --token TOKEN && systemctl enable --now holdfast-agent
  look:                     holdfast status; holdfast coverage; holdfast diagnose
END
