"""Runs freshclam in a folder of this worker's own: it speaks with strangers, so it has no right to change anything else.

Its configuration is the system's, but for where it works and whom it tells: commands that it would run (`OnUpdateExecute` and the like) are
left out. What it has brought is put in place by `placing`, whole file by whole file.
"""

import os
import re
import shutil
from pathlib import Path

from analysis.antivirus import clamav_conf, freshclam
from contracts.errors import Malformed, Unavailable
from contracts.host import Host
from contracts.record import Record

FOLDER = "signatures"
DAT = "freshclam.dat"
FORMS = frozenset(
    ["cvd", "cld", "cud", "hdb", "hsb", "mdb", "msb", "ndb", "ldb", "db", "fp", "sfp", "ign2", "cbc", "crb", "cdb", "wdb", "pdb",
     "gdb", "ftm", "idb", "yar", "yara"]
)  # fmt: skip
"""What freshclam brings; nothing else is taken over but `SIGNATURE`."""
SIGNATURE = re.compile(r"([a-z]+)-([0-9]{1,12})\.(cvd|cld|cud)\.sign")
"""The signature of one version of a container, a file beside it (ClamAV 1.5): `daily-27695.cvd.sign`."""
_LEFT_OUT = frozenset(
    ["databasedirectory", "databaseowner", "updatelogfile", "logsyslog", "logfilemaxsize", "logrotate", "pidfile", "notifyclamd",
     "foreground", "checks", "onupdateexecute", "onerrorexecute", "onoutdatedexecute", "allowsupplementarygroups", "logtime",
     "logverbose", "debug"]
)  # fmt: skip
_PART = ".part"
_MIRRORS = frozenset({"privatemirror", "databasemirror", "dnsdatabaseinfo"})
_OUTPUT = 256 << 10


class Ran(Record):
    """How freshclam ended: its code (0: up to date or updated), its last complaint, all it said (the end of it)."""

    code: int
    trouble: str
    said: str


def own_folder(state: str) -> str:
    """This worker's folder for databases, made when it is not there."""
    folder = Path(state, FOLDER)
    folder.mkdir(mode=0o700, exist_ok=True)
    return str(folder)


def seed(source: str, folder: str) -> None:
    """Copy what the system has and this folder lacks or has otherwise, so that only differences are fetched; and the cool-down with it."""
    _clear(folder)
    for name in (*databases(source), DAT):
        theirs, ours = Path(source, name), Path(folder, name)
        try:
            found = theirs.lstat()
        except FileNotFoundError:
            continue
        if not ours.exists() or (name != DAT and _stamp(ours.lstat()) != _stamp(found)):
            _copy(theirs, ours)


def _clear(folder: str) -> None:
    """Remove what a run left that was killed: half a copy, and freshclam's folders of hundreds of megabytes."""
    for path in Path(folder).iterdir():
        if path.suffix == _PART:
            path.unlink()
        elif path.name.startswith("tmp.") and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


def _copy(source: Path, target: Path) -> None:
    """Copy a regular file with its times, by a rename."""
    part = target.with_name(target.name + _PART)
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as reading, part.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        found = os.fstat(reading.fileno())
    os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns))
    part.replace(target)


def databases(folder: str) -> list[str]:
    """The names of databases in a folder, sorted; none where there is no folder. Raises `OSError`."""
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if not name.startswith(".") and _is_ours(name))


def _is_ours(name: str) -> bool:
    return name.rpartition(".")[2] in FORMS or SIGNATURE.fullmatch(name) is not None


def cooling_until_ms(host: Host, *folders: str) -> int:
    """Until when the servers asked to be left alone, by the latest `freshclam.dat`; 0 for not at all."""
    latest = 0
    for folder in folders:
        try:
            latest = max(latest, freshclam.retry_after_ms(host.files.head(f"{folder}/{DAT}", 4096)))
        except (Unavailable, Malformed):
            continue  # freshclam itself makes it anew
    return latest


def configuration(text: str, folder: str, mirror: str, whole: bool) -> str:
    """Return freshclam's configuration for a run in `folder`; `mirror` takes the place of those that it names."""
    kept = []
    for line in text.splitlines():
        name = next(iter(line.split(None, 1)), "").lower()
        if name and not name.startswith("#") and name not in _LEFT_OUT and not (mirror and name in _MIRRORS):
            kept.append(line.strip())
    lines = [*kept, f"DatabaseDirectory {folder}", "LogTime yes", "Foreground yes"]
    if os.geteuid() == 0:
        lines.append("DatabaseOwner root")  # it would become another user, who may not enter the folder
    if mirror:
        lines.append(f"PrivateMirror {mirror}")
    if whole:  # differences make containers whose signature nobody can check as a whole; a relay serves none
        lines = [line for line in lines if not line.lower().startswith("scriptedupdates")]
        lines.append("ScriptedUpdates no")
    return "\n".join(lines) + "\n"


def tests_databases(conf: clamav_conf.Conf) -> bool:
    """Whether freshclam loads what it has brought, to test it."""
    return conf.flag("TestDatabases", default=True)


def run(host: Host, configuration_text: str, folder: str, timeout_s: float) -> Ran:
    """Run freshclam once; raises `Unavailable` where it is not there or takes too long."""
    path = f"{folder}/.freshclam.conf"
    host.write(path, configuration_text.encode(), 0o600)
    said = bytearray()
    buffer = memoryview(bytearray(1 << 16))
    with host.stream("freshclam", f"--config-file={path}", "--stdout", "--no-warnings", timeout_s=timeout_s) as running:
        while count := running.readinto(buffer):
            said += buffer[:count]
            del said[:-_OUTPUT]
        done = running.end()
    text = (bytes(said) + done.stderr).decode("utf-8", "replace")
    return Ran(code=done.code, trouble=freshclam.trouble(text), said=text)
