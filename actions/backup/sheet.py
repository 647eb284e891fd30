"""Recovery sheet: what somebody needs who has lost this host and has its backup, on paper: pure text, 78 columns, no secret in it."""

import shlex
import textwrap
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

TAG = "recovery-sheet"
"""The tag of the snapshots that hold sheets."""

FOLDER = b"recovery"
SHEET = b"sheet.txt"
PACKAGES = b"packages.txt"
TARGET = "/mnt/restored"
WIDTH = 78
ID_LENGTH = 16
"""Digits of ids: enough for any repository, and short enough to type."""

_MAX_LISTED = 400


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot to restore: its id and time (Unix ns), what it holds; of a database its product, its name and its files."""

    id: str
    time_ns: int
    paths: Sequence[str]
    product: str = ""
    name: str = ""
    files: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    """A file system: device, where, and its type; options are left out, since passwords may stand there."""

    device: str
    place: str
    type: str


@dataclass(frozen=True, slots=True)
class User:
    """A user who may log in, or who owns files."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the host is. `missing` says what could not be seen of it."""

    hostname: str
    os_name: str = ""
    kernel: str = ""
    architecture: str = ""
    machine_id: str = ""
    packages: Sequence[str] = ()
    chosen_packages: Sequence[str] = ()
    """Those that somebody asked for; the others came with them."""
    users: Sequence[User] = ()
    mounts: Sequence[Mount] = ()
    services: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Backup:
    """What the settings and the repository say of one job. `recovery` says why the recovery key is nothing to count on, "" when it is."""

    job: str
    repository: str
    repository_id: str
    password_file: str
    recovery: str
    ssh_key: str = ""
    copies: Sequence[str] = ()
    saved: Sequence[Saved] = ()
    full: str = ""
    """When all of it was restored last, and how long that took."""


@dataclass(slots=True)
class _Page:
    lines: list[str] = field(default_factory=list)

    def head(self, text: str) -> None:
        self.lines += ["", text, "-" * len(text)]

    def say(self, text: str, indent: str = "") -> None:
        self.lines += textwrap.wrap(_clean(text), WIDTH, initial_indent=indent, subsequent_indent=indent) or [""]

    def pair(self, name: str, text: str) -> None:
        lead = f"{name + ':':<18}"
        self.lines += textwrap.wrap(
            _clean(text) or "-",
            WIDTH,
            initial_indent=lead,
            subsequent_indent=" " * 18,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def commands(self, commands: Iterable[str]) -> None:
        """Commands stand alone on their lines, whole however long, so that they can be typed or copied as they are."""
        self.lines += ["", *(f"    {_clean(command)}" for command in commands), ""]


def sheet_text(host: HostFacts, backup: Backup, now_ns: int, target: str = TARGET) -> str:
    """The sheet. Every line that begins with four spaces is a command; they restore into the directory `target`."""
    page = _Page()
    title = f"RECOVERY SHEET of {_clean(host.hostname)}"
    page.lines += [title, "=" * len(title)]
    page.say(
        f"Made {_moment(now_ns)} by holdfast for the backup {backup.job}. Keep it on paper, away from this host. It holds no password: "
        "the one for the repository is wherever you keep it, or on the paper with the recovery key."
    )
    _host(page, host)
    _key(page, backup)
    _restore(page, backup, backup.repository, target, "")
    for copy in backup.copies:
        _restore(page, backup, copy, target, "--no-lock ")
    _databases(page, backup, target)
    _packages(page, host, backup)
    _system(page, host)
    _after(page, backup)
    return "\n".join(page.lines) + "\n"


def _host(page: _Page, host: HostFacts) -> None:
    page.head("This host")
    page.pair("System", f"{host.os_name}, kernel {host.kernel}, {host.architecture}")
    page.pair("Machine id", host.machine_id)
    for missing in host.missing:
        page.pair("NOT SEEN", missing)


def _key(page: _Page, backup: Backup) -> None:
    page.head("Repository and keys")
    page.pair("Repository", backup.repository)
    page.pair("Repository id", backup.repository_id[:32])
    for copy in backup.copies:
        page.pair("Copy", copy)
    page.pair("Password", f"was in {backup.password_file} on this host, for root alone; with the host it is gone")
    page.pair(
        "Recovery key",
        f"NOT PROVED: {backup.recovery}" if backup.recovery else "proved: the paper opens the repository",
    )
    if backup.ssh_key:
        page.pair("SSH key", f"was in {backup.ssh_key}; any key that the server takes will do")
    page.pair("Restored whole", backup.full or "never yet")


def _restore(page: _Page, backup: Backup, place: str, target: str, flags: str) -> None:
    page.head("Restore from a copy" if flags else "Restore")
    page.say(
        "The same from the copy. --no-lock, because a lock could be written there and never removed again."
        if flags
        else "On any machine with the stock restic, as root; the second command asks for the password or the recovery key."
    )
    page.commands(
        [
            f"export RESTIC_REPOSITORY={shlex.quote(place)}",
            "read -rsp 'Password or recovery key: ' RESTIC_PASSWORD; export RESTIC_PASSWORD",
            f"restic {flags}snapshots",
        ]
    )
    files = [saved for saved in backup.saved if not saved.product]
    for saved in files:
        page.say(f"As of {_moment(saved.time_ns)}: {' '.join(saved.paths)}")
        page.commands([f"restic {flags}restore {saved.id[:ID_LENGTH]} --target {shlex.quote(target)}"])
    if not files:
        page.say("There is no snapshot of files.")
    dumps = [saved for saved in backup.saved if saved.product]
    if dumps:
        page.say("The dumps of the databases; how they are loaded stands below.")
        page.commands(f"restic {flags}restore {saved.id[:ID_LENGTH]} --target {shlex.quote(target)}" for saved in dumps)


def _databases(page: _Page, backup: Backup, target: str) -> None:
    dumps = [saved for saved in backup.saved if saved.product]
    if not dumps:
        return
    page.head("Load the databases")
    for saved in dumps:
        page.say(f"{saved.product} {saved.name}, as of {_moment(saved.time_ns)} (snapshot {saved.id[:ID_LENGTH]}):")
        lines, words = _LOAD.get(saved.product, _unknown)(saved, f"{target.rstrip('/')}/databases/{saved.name}")
        if words:
            page.say(words)
        page.commands(lines)


def _postgresql(saved: Saved, folder: str) -> tuple[list[str], str]:
    lines = []
    if "globals.sql" in saved.files:
        lines.append(f"runuser -u postgres -- psql -X -d postgres < {shlex.quote(f'{folder}/globals.sql')}")
    for file in saved.files:
        if file.endswith(".dump"):
            lines.append(f"runuser -u postgres -- pg_restore -C -d postgres < {shlex.quote(f'{folder}/{file}')}")
    return (
        lines,
        "Into an empty cluster of the same version or a newer one. That a role exists already is a harmless error.",
    )


def _mysql(saved: Saved, folder: str) -> tuple[list[str], str]:
    files = sorted(saved.files, key=lambda file: file == "users.sql")
    return [f"mariadb < {shlex.quote(f'{folder}/{file}')}" for file in files], "Into an empty server; users come last."


def _redis(saved: Saved, folder: str) -> tuple[list[str], str]:
    words = "With the server stopped and its append-only file switched off; then start it."
    return [f"cp {shlex.quote(f'{folder}/{file}')} /var/lib/redis/dump.rdb" for file in saved.files], words


def _sqlite(saved: Saved, folder: str) -> tuple[list[str], str]:
    lines = [f"cp {shlex.quote(f'{folder}/{file}')} {shlex.quote(f'/{file}')}" for file in saved.files]
    return lines, "With the programs stopped that use them, and without the old -wal and -shm files."


def _unknown(saved: Saved, folder: str) -> tuple[list[str], str]:
    lines = [f"ls -l {shlex.quote(f'{folder}/{file}')}" for file in saved.files]
    return lines, "The output of a command; give it to the program that reads it."


_LOAD = {"postgresql": _postgresql, "mysql": _mysql, "redis": _redis, "sqlite": _sqlite}


def _packages(page: _Page, host: HostFacts, backup: Backup) -> None:
    page.head("Packages")
    debian = any("\t" in line for line in host.packages)
    page.say(
        f"{len(host.packages)} were installed; the list is {_path(PACKAGES)} beside this sheet in the repository:"
        if host.packages
        else "Which were installed is not known."
    )
    if host.packages:
        lines = [f"restic --no-lock dump --tag {backup.job},{TAG} latest {_path(PACKAGES)} > packages.txt"]
        if debian:
            lines += [
                "apt-get update && apt-cache dumpavail | dpkg --merge-avail",
                "dpkg --set-selections < packages.txt && apt-get dselect-upgrade",
            ]
        else:
            lines.append("dnf install $(cat packages.txt)")
        page.commands(lines)
    if host.chosen_packages:
        shown = sorted(host.chosen_packages)[:_MAX_LISTED]
        page.say(f"Asked for by somebody ({len(host.chosen_packages)}):")
        left = len(host.chosen_packages) - len(shown)
        words = " ".join(map(_clean, shown)) + (f" and {left} more: see the list" if left else "")
        page.lines += textwrap.wrap(words, WIDTH, break_long_words=False, break_on_hyphens=False)


def _system(page: _Page, host: HostFacts) -> None:
    page.head("Users")
    for user in host.users:
        page.say(f"{user.name} {user.uid}:{user.gid} {user.home} {user.shell}", "  ")
    page.head("File systems")
    for mount in host.mounts:
        page.say(f"{mount.place} on {mount.device} ({mount.type})", "  ")
    page.head("Services that are switched on")
    page.lines += textwrap.wrap(
        " ".join(map(_clean, host.services)) or "-", WIDTH, break_long_words=False, break_on_hyphens=False
    )


def _after(page: _Page, backup: Backup) -> None:
    page.head("In this order")
    steps = [
        "Install the same system, make the file systems and mount them, set the clock.",
        "Restore the files to another place first, as above, and look at them.",
        "Install the packages, make the users (from etc/passwd, etc/group and etc/shadow of what was restored).",
        "Put the files in place: configuration, then data; owners and modes come with them.",
        "Load the databases, start the services, look at their logs.",
        "Change what an attacker may have had: passwords, keys, and the password of the repository.",
    ]
    for number, step in enumerate(steps, 1):
        page.lines += textwrap.wrap(step, WIDTH, initial_indent=f"{number}. ", subsequent_indent="   ")
    page.lines.append("")
    page.say("A newer sheet lies in the repository:")
    page.commands([f"restic --no-lock dump --tag {backup.job},{TAG} latest {_path(SHEET)}"])


def _path(file: bytes) -> str:
    return f"/{FOLDER.decode()}/{file.decode()}"


def _moment(ns: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ns / 1e9))


def _clean(text: str) -> str:
    """Nothing that a terminal would obey, or that would make a second line of a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def command_lines(text: str) -> Iterator[str]:
    """The commands of a sheet."""
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.strip()
