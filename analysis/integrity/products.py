"""What maintainer scripts and triggers write: by rule, which run may have written it, and whether it follows from what is known. Pure.

A rule that can make the file anew, or check it entry by entry against signed files, says `DERIVED`. One that only knows the name says
`PRODUCT`: such a change is folded into its run and counted there. Nothing executable and nothing set-uid is ever a mere product.
"""

import re
import stat

from analysis.integrity.products_derived import DERIVED_RULES, resolved
from analysis.integrity.script_names import names
from contracts.file_change import CAPABILITIES, SETUID, Change
from contracts.provenance import Knowledge, Level, Provenance, Transaction

SLACK_MS = 60_000
"""How long before a run's first line and after its last one its own processes may write."""
SECOND_MS = 1000
"""The logs know whole seconds only."""
_EXECUTABLE = 0o111
_TELLING = re.compile(
    rb"/(authorized_keys|sudoers|crontab|ld\.so\.preload|rc\.local|known_hosts|shadow|passwd|group|gshadow)$"
)

_DOORS = re.compile(rb"/etc/(sudoers\.d|pam\.d|polkit-1)/")
"""Where even a signed example, copied there, gives something away."""
_RULED = re.compile(rb"/etc/(alternatives|systemd|rc[0-6S]\.d|cron[^/]*|ssl)/")
"""Where links have rules of their own, or are run."""
_ARCH = rb"/usr/lib/(?:x86_64|aarch64|i386|arm|powerpc64le|riscv64|s390x)[^/]*"
_NAMED: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(b"|".join(patterns)), what)
    for what, patterns in (
        (
            "dpkg's own state",
            (
                rb"/var/lib/dpkg(/(triggers|updates|alternatives|parts|info))?",
                rb"/var/lib/dpkg/(status|status-old|available|available-old|lock.*|diversions.*|statoverride.*)",
                rb"/var/lib/dpkg/triggers/.*",
            ),
        ),
        ("apt's own state", (rb"/var/lib/apt(/.*)?",)),
        ("rpm's own state", (rb"/(usr/lib/sysimage|var/lib)/rpm(/(rpmdb\.sqlite(-wal|-shm)?|\.rpm\.lock))?",)),
        ("dnf's own state", (rb"/(var/lib/dnf|usr/lib/sysimage/libdnf5)(/.*)?",)),
        (
            "a cache of the package tools",
            (rb"/var/cache/(apt|debconf|man|fontconfig|ldconfig|apparmor|dnf|libdnf5)(/.*)?",),
        ),
        (
            "a log of the package tools",
            (
                rb"/var/log/(apt(/.*)?|dpkg\.log|alternatives\.log|fontconfig\.log|bootstrap\.log)",
                rb"/var/log/(dnf|dnf5|dnf\.rpm|dnf\.librepo|hawkey)\.log(\.[0-9])?",
            ),
        ),
        (
            "a registry that maintainer scripts keep",
            (
                rb"/var/lib/(ucf|dictionaries-common|ispell|aspell|emacsen-common|xml-core|sgml-base|gems|python)(/.*)?",
                rb"/etc/(xml|sgml)(/.*)?",
                rb"/var/lib/systemd/(deb-systemd-(user-)?helper-(enabled|masked)|catalog)(/.*)?",
            ),
        ),
        (
            "a cache that a trigger makes",
            (
                rb"/usr/share/(glib-2\.0/schemas/gschemas\.compiled|icons/[^/]+/icon-theme\.cache|info/dir(\.old)?)",
                rb"/usr/share/(applications/(mimeinfo|desktop)\.cache|fonts/.*/fonts\.(dir|scale|alias)|.*/\.uuid)",
                rb"/usr/share/mime/([a-z-]+/[^/]+\.xml|aliases|generic-icons|globs2?|icons|magic|mime\.cache|subclasses|treemagic"
                rb"|types|version|XMLnamespaces)",
                _ARCH
                + rb"/(gconv/gconv-modules\.cache|gdk-pixbuf-2\.0/[^/]+/loaders\.cache|gio/modules/giomodule\.cache)",
                rb"/usr/lib/locale/locale-archive",
                rb"/usr/lib/locale/C\.(utf8|UTF-8)/.*",
            ),
        ),
        ("depmod's tables", (rb"/usr/lib/modules/[^/]+/modules\.[a-z.]+",)),
        (
            "the initial file system or the boot loader's files",
            (
                rb"/boot/(initrd\.img-.*|initramfs-[^/]+\.img|grub2?(/.*)?|loader/entries/[^/]+)",
                rb"(/boot)?/(vmlinuz|initrd\.img)(\.old)?",
            ),
        ),
        (
            "a file that maintainer scripts write",
            (rb"/etc/(ld\.so\.cache|mailcap|\.pwd\.lock|shells|timezone|papersize)",),
        ),
        (
            "the former account file that the account tools leave",
            (rb"/etc/(group|passwd|shadow|gshadow|subuid|subgid)-",),
        ),
        ("what dh_apparmor makes", (rb"/etc/apparmor\.d/(local|cache|abi)(/.*)?",)),
        ("enabled font settings", (rb"/etc/fonts/conf\.d/.*",)),
        ("a folder for links of enabled units", (rb"/etc/systemd/(system|user)/[^/]+\.(wants|requires|upholds)",)),
        ("a folder for compiled Python", (rb".*/__pycache__",)),
    )
)


def product(change: Change, known: Knowledge) -> Provenance | None:
    """Return what a run of a package tool may have made of the name; None when no rule knows it or no run fits."""
    for run in _runs(change, known):
        found = _of_run(change, run, known)
        if found is not None:
            return found
    return None


def _of_run(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    for pattern, rule in DERIVED_RULES:
        if pattern.fullmatch(change.path):
            found = rule(change, run, known)
            if found is not None:
                return found
    copied = _copied(change, run, known)
    if copied is not None or _is_dangerous(change):
        return copied
    return (
        _by_name(change, run)
        or _linked(change, run, known)
        or _by_script(change, run, known)
        or _midway(change, run, known)
    )


def _runs(change: Change, known: Knowledge) -> list[Transaction]:
    """Return the runs that may have changed the name, the likeliest first: by the kernel's time of the change, of a deletion the latest."""
    if change.after is None:
        return list(reversed(known.transactions))
    at_ms = change.after.ctime_ns // 1_000_000
    near = [run for run in reversed(known.transactions) if _is_within(at_ms, run, SLACK_MS)]
    return sorted(near, key=lambda run: not _is_within(at_ms, run, SECOND_MS))


def _is_within(at_ms: int, run: Transaction, slack_ms: int) -> bool:
    return run.started_ms - slack_ms <= at_ms and (not run.ended_ms or at_ms <= run.ended_ms + slack_ms)


def _is_dangerous(change: Change) -> bool:
    """Say whether the change is of a sort that no mere name excuses."""
    if {SETUID, CAPABILITIES} & set(change.kinds):
        return True
    node = change.after
    if _TELLING.search(change.path):
        return True
    return node is not None and stat.S_ISREG(node.mode) and bool(node.mode & (_EXECUTABLE | 0o6000))


def _by_name(change: Change, run: Transaction) -> Provenance | None:
    what = next((what for pattern, what in _NAMED if pattern.fullmatch(change.path)), "")
    if not what:
        return None
    return Provenance(level=Level.PRODUCT, basis=f"{what}; its content is not proved", transaction=run.id)


def _copied(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A copy below /etc of what the run's own packages ship elsewhere (ucf, templates)."""
    node = change.after
    if node is None or not node.content or not change.path.startswith(b"/etc/"):
        return None
    if node.mode & 0o6000 or node.capabilities or _TELLING.search(change.path) or _DOORS.match(change.path):
        return None
    source = known.copies(node.content, frozenset(one.name for one in run.packages))
    return (
        Provenance(level=Level.DERIVED, basis=f"a copy of the signed {source}", transaction=run.id) if source else None
    )


def _linked(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A link below /etc that leads to a name of the run's own packages: a site, a module or a service enabled; or one that went with it."""
    node = change.after or change.before
    if node is None or not stat.S_ISLNK(node.mode) or not change.path.startswith(b"/etc/"):
        return None
    if _RULED.match(change.path) or _DOORS.match(change.path):
        return None
    target = resolved(change.path, node.target)
    packages = {one.name for one in run.packages}
    holder = next((one.package for one in known.shipped(target) if one.signed_by and one.package in packages), "")
    if not holder or (change.after is None and known.node(target) is not None):
        return None
    return Provenance(level=Level.PRODUCT, basis=f"a link to {holder}'s own file", package=holder, transaction=run.id)


def _midway(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """What dpkg had begun to unpack, or put aside, when it was ended."""
    base, _, suffix = change.path.rpartition(b".")
    if suffix not in (b"dpkg-new", b"dpkg-tmp") or change.after is None or not run.unfinished:
        return None
    packages = {one.name for one in run.packages}
    holder = next((one.package for one in known.shipped(base) if one.signed_by and one.package in packages), "")
    if not holder:
        return None
    basis = f"{holder} was being unpacked to this name; its content is not proved"
    return Provenance(level=Level.PRODUCT, basis=basis, package=holder, transaction=run.id)


def _by_script(change: Change, run: Transaction, known: Knowledge) -> Provenance | None:
    """A file that a package's signed script names."""
    text = change.path.decode("utf-8", "surrogateescape")
    for one in run.packages:
        if names(known.scripts(one.name), text):
            basis = f"the signed script of {one.name} names it; its content is not proved"
            return Provenance(level=Level.PRODUCT, basis=basis, package=one.name, version=one.after, transaction=run.id)
    return None
