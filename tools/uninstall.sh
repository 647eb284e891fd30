#!/bin/sh
# Remove what `make install` made. State, logs and configuration stay unless PURGE=1.
# environment: PREFIX DESTDIR PURGE
set -eu
PREFIX=${PREFIX:-/opt/holdfast} DESTDIR=${DESTDIR:-} PURGE=${PURGE:-0}
[ "$(id -u)" -eq 0 ] || { echo "make uninstall: must run as root; call: sudo make uninstall" >&2; exit 1; }
case $PREFIX in "" | / | /usr | /opt | /etc | /var) echo "make uninstall: PREFIX is \"$PREFIX\", which is not a folder of Holdfast's own" >&2; exit 1 ;; esac

units="holdfast-agent.service holdfast-console.service holdfast-firewall.service holdfast-relay.service"
for worker in netfilter reader messenger sensor backup steward; do units="$units holdfast-$worker.socket holdfast-$worker.service"; done
if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then
    # shellcheck disable=SC2086
    systemctl disable --now --quiet $units 2>/dev/null || :
fi
# What it put into the kernel goes with it: the policy and the bans.
if [ -z "$DESTDIR" ] && command -v nft >/dev/null; then
    for table in holdfast holdfast_block; do
        nft "add table inet $table; delete table inet $table" 2>/dev/null || echo "make uninstall: table inet $table could not be removed" >&2
    done
fi
for unit in $units; do rm -f "$DESTDIR/usr/lib/systemd/system/$unit"; done
rm -f "$DESTDIR/usr/bin/holdfast" \
    "$DESTDIR/usr/lib/sysusers.d/holdfast.conf" "$DESTDIR/usr/lib/tmpfiles.d/holdfast.conf" \
    "$DESTDIR/usr/share/bash-completion/completions/holdfast" \
    "$DESTDIR/usr/share/zsh/vendor-completions/_holdfast" \
    "$DESTDIR/usr/share/fish/vendor_completions.d/holdfast.fish"
rm -f "$DESTDIR"/usr/share/man/man[158]/holdfast*.[158]
rm -rf "${DESTDIR}/usr/share/doc/holdfast" "${DESTDIR}${PREFIX:?}"
[ -n "$DESTDIR" ] || { [ ! -d /run/systemd/system ] || { systemctl daemon-reload; systemctl reset-failed 'holdfast-*' 2>/dev/null || :; }; }
rm -rf "$DESTDIR/run/holdfast"
if [ "$PURGE" = 1 ]; then
    rm -rf "$DESTDIR/etc/holdfast" "$DESTDIR/var/lib/holdfast" "$DESTDIR/var/log/holdfast"
    if [ -z "$DESTDIR" ]; then
        for user in holdfast-netfilter holdfast-reader holdfast-messenger holdfast-sensor holdfast-backup holdfast-steward holdfast-console holdfast; do
            ! getent passwd "$user" >/dev/null || userdel "$user"
            ! getent group "$user" >/dev/null || groupdel "$user" 2>/dev/null || :
        done
    fi
    echo "Holdfast is removed, with its configuration, state, logs and users."
else
    echo "Holdfast is removed. Kept: /etc/holdfast, /var/lib/holdfast, /var/log/holdfast (make uninstall PURGE=1 removes them, too)."
fi
