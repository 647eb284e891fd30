"""Reads Debian's own texts: stanzas, Release files, apt's sources, the words of gpgv, dpkg's and apt's logs. Pure.

Formats: deb822(5), sources.list(5), apt-secure(8), `doc/DETAILS` of GnuPG, dpkg(1) (log), deb-md5sums(5), dpkg-divert(1).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from analysis.integrity.versions import is_older_dpkg
from contracts.provenance import PackageChange, Transaction
from contracts.record import Record

_QUOTED = '\\|{}[]<>"^~_=!@#$%^&*'
_STRONG = frozenset({"8", "9", "10", "11"})
"""Hash algorithms of OpenPGP (RFC 4880, 9.4) from SHA-256 on; what is older proves nothing."""
INSTALLED = frozenset({"installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"})


class Source(Record):
    """One place packages come from: `list_prefix` begins the names of its files in apt's lists; `base` is where file names start."""

    list_prefix: str
    base: str
    signed_by: str = ""
    """Path of a keyring, an armoured key block, fingerprints, or "" for every key that apt trusts."""
    trusted: bool = False

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine, which apt installs from without keeping a copy."""
        return self.base.startswith(("file:", "copy:"))


class IndexFile(Record):
    """A file that a Release names: path within the suite, SHA-256 in hex, size."""

    path: str
    sha256: str
    size: int


class Stanza(Record):
    """What is needed of one package in a signed index."""

    package: str
    version: str
    architecture: str
    sha256: str
    filename: str = ""


class Installed(Record):
    """One package as dpkg's status has it; `key` is how its files in `info` are named."""

    name: str
    architecture: str
    version: str
    state: str
    key: str
    configs: tuple[tuple[str, str], ...] = ()
    """Configuration files with the MD5 of what was shipped."""


def stanzas(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield each stanza as values by field name; continuation lines are kept with their line breaks."""
    found: dict[str, str] = {}
    field = ""
    for line in lines:
        text = line.rstrip("\r\n")
        if not text.strip():
            if found:
                yield found
            found, field = {}, ""
        elif text[0] in " \t":
            if field:
                found[field] += "\n" + text.strip()
        elif not text.startswith("#"):
            field, _, value = text.partition(":")
            found[field] = value.strip()
    if found:
        yield found


def release_files(text: str) -> dict[str, IndexFile]:
    """Return the files that a Release names under SHA256, by path."""
    stanza = next(stanzas(text.splitlines()), {})
    found = {}
    for line in stanza.get("SHA256", "").splitlines():
        words = line.split()
        if len(words) == 3 and re.fullmatch(r"[0-9a-f]{64}", words[0]) and words[1].isdigit():
            found[words[2]] = IndexFile(path=words[2], sha256=words[0], size=int(words[1]))
    return found


def index_stanza(fields: Mapping[str, str]) -> Stanza | None:
    """Return a package of an index, None where it says no SHA-256."""
    if not re.fullmatch(r"[0-9a-f]{64}", fields.get("SHA256", "")):
        return None
    return Stanza(
        package=fields.get("Package", ""),
        version=fields.get("Version", ""),
        architecture=fields.get("Architecture", ""),
        sha256=fields["SHA256"],
        filename=fields.get("Filename", ""),
    )


def good_signers(status: str) -> tuple[str, ...]:
    """Return the fingerprints of the primary keys of good, strong signatures, as gpgv's status lines say; () with any bad one."""
    good, found = False, []
    for line in status.splitlines():
        words = line.removeprefix("[GNUPG:] ").split() if line.startswith("[GNUPG:] ") else []
        if not words:
            continue
        if words[0] == "BADSIG":
            return ()
        if words[0] == "NEWSIG":
            good = False
        elif words[0] == "GOODSIG":
            good = True
        elif words[0] == "VALIDSIG" and good and len(words) > 8 and words[8] in _STRONG:
            found.append(words[10] if len(words) > 10 else words[1])
    return tuple(found)


def sources(files: Mapping[str, str]) -> list[Source]:
    """Return the places in apt's source files, given as content by name (`*.list` in one line each, `*.sources` as stanzas)."""
    found: list[Source] = []
    for name, text in sorted(files.items()):
        lines = text.splitlines()
        found += _stanza_sources(lines) if name.endswith(".sources") else _line_sources(lines)
    return found


def _line_sources(lines: Iterable[str]) -> Iterator[Source]:
    for line in lines:
        match = re.fullmatch(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)(.*)", line.partition("#")[0].rstrip())
        if match is None:
            continue
        options = dict(each.split("=", 1) for each in (match[1] or "").split() if "=" in each)
        yield _source(match[2], match[3], options.get("signed-by", ""), options.get("trusted", "no"))


def _stanza_sources(lines: Iterable[str]) -> Iterator[Source]:
    for stanza in stanzas(lines):
        if "deb" not in stanza.get("Types", "").split() or stanza.get("Enabled", "yes").lower() in ("no", "false", "0"):
            continue
        for uri in stanza.get("URIs", "").split():
            for suite in stanza.get("Suites", "").split():
                yield _source(uri, suite, stanza.get("Signed-By", ""), stanza.get("Trusted", "no"))


def _source(uri: str, suite: str, signed_by: str, trusted: str) -> Source:
    base = uri.rstrip("/") + "/"
    where = f"{base}{suite}" if suite.endswith("/") else f"{base}dists/{suite}/"
    return Source(list_prefix=list_name(where), base=base, signed_by=signed_by, trusted=trusted in ("yes", "true", "1"))


def list_name(uri: str) -> str:
    """Return how apt names a file of a URI in its lists (`URItoFileName`): no scheme, no user, odd letters as %xx, `_` for `/`."""
    rest = uri.partition("://")[2] if "://" in uri else uri.partition(":")[2]
    host, slash, path = rest.partition("/")
    rest = host.rpartition("@")[2] + slash + path
    quoted = "".join(
        f"%{ord(each):02x}" if each in _QUOTED or ord(each) < 33 or ord(each) > 126 else each for each in rest
    )
    return quoted.replace("/", "_")


def installed(lines: Iterable[str]) -> Iterator[Installed]:
    """Yield the packages of dpkg's status file that have anything on the disk."""
    for fields in stanzas(lines):
        words = fields.get("Status", "").split()
        if len(words) != 3 or words[2] in ("not-installed",) or "Package" not in fields:
            continue
        name, architecture = fields["Package"], fields.get("Architecture", "")
        configs = [line.split() for line in fields.get("Conffiles", "").splitlines()]
        yield Installed(
            name=name,
            architecture=architecture,
            version=fields.get("Version", ""),
            state=words[2],
            key=f"{name}:{architecture}" if fields.get("Multi-Arch") == "same" else name,
            configs=tuple((each[0], each[1]) for each in configs if len(each) >= 2),
        )


def md5_lines(content: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield path (from the root) and MD5 of each line of a package's list."""
    for line in content.split(b"\n"):
        digest, _, path = line.partition(b"  ")
        if len(digest) == 32 and path:
            yield b"/" + path, digest.decode("ascii", "replace")


_CHANGE = re.compile(r"([^\s:,(]+):([^\s,(]+) \(([^)]*)\)")
_DEEDS = {
    "Install": "install",
    "Upgrade": "upgrade",
    "Downgrade": "downgrade",
    "Reinstall": "reinstall",
    "Remove": "remove",
    "Purge": "purge",
}


def apt_history(text: str, to_ms: Callable[[str], int]) -> list[Transaction]:
    """Return the runs in apt's history.log; `to_ms` turns its local `YYYY-MM-DD  HH:MM:SS` into Unix ms. A run without end has 0."""
    found: list[Transaction] = []
    for fields in stanzas(text.splitlines()):
        if "Start-Date" not in fields:
            continue
        matches = [(deed, match) for word, deed in _DEEDS.items() for match in _CHANGE.finditer(fields.get(word, ""))]
        matches.sort(key=lambda pair: "automatic" in pair[1][3])  # what was asked for comes first
        packages = [_apt_change(deed, match) for deed, match in matches]
        started = to_ms(fields["Start-Date"])
        found.append(
            Transaction(
                id=_run_id("apt", started, [one.started_ms for one in found[-9:]]),
                tool="apt",
                started_ms=started,
                ended_ms=to_ms(fields["End-Date"]) if "End-Date" in fields else 0,
                command=fields.get("Commandline", ""),
                who=fields.get("Requested-By", ""),
                packages=tuple(packages),
                unfinished=fields.get("Error", ""),
            )
        )
    return found


def _run_id(tool: str, started_ms: int, before: list[int]) -> str:
    """Return the name of a run: the logs know whole seconds only, and of several that began in one (`before` this one) each has its own."""
    number = before.count(started_ms)
    return f"{tool}-{started_ms}" + (f"-{number}" if number else "")


def _apt_change(deed: str, match: re.Match[str]) -> PackageChange:
    versions = [each.strip() for each in match[3].split(",") if each.strip() != "automatic"]
    first = versions[0] if versions else ""
    if deed in ("upgrade", "downgrade"):
        before, after = first, versions[1] if len(versions) > 1 else ""
    elif deed in ("remove", "purge"):
        before, after = first, ""
    else:
        before, after = (first, first) if deed == "reinstall" else ("", first)
    return PackageChange(name=match[1], architecture=match[2], deed=deed, before=before, after=after)


_LEFT = frozenset({"half-installed", "unpacked", "half-configured"})
"""States in which no run that came to its end leaves a package."""


class _DpkgRun:
    """What is gathered of one run of dpkg while its log is read."""

    def __init__(self, started_ms: int, name: str) -> None:
        self.started_ms = self.ended_ms = started_ms
        self._name = name
        self._changes: dict[tuple[str, str], PackageChange] = {}
        self._completed: dict[tuple[str, str], PackageChange] = {}
        self._states: dict[tuple[str, str], str] = {}

    def line(self, words: list[str]) -> None:
        """Take in one line without its time."""
        if words[0] == "status" and len(words) >= 3:
            name, _, architecture = words[2].partition(":")
            self._states[name, architecture] = words[1]
        change = _dpkg_change(words)
        if change is not None:
            held = self._completed if change.deed == "configure" else self._changes
            place = change.name, change.architecture
            held[place] = _joined(held.get(place), change)

    def told(self) -> Transaction | None:
        """Return the run, None for one that did nothing to any package. One that only completes others names those that it completed."""
        changes = self._changes or self._completed
        if not changes:
            return None
        left = [f"{name} was left {self._states.get((name, kind))}" for name, kind in changes if self._left(name, kind)]
        return Transaction(
            id=self._name,
            tool="dpkg",
            started_ms=self.started_ms,
            ended_ms=self.ended_ms,
            packages=tuple(changes.values()),
            unfinished=", ".join(left[:3]),
        )

    def _left(self, name: str, architecture: str) -> bool:
        return self._states.get((name, architecture), "") in _LEFT


def dpkg_log(text: str, to_ms: Callable[[str], int]) -> list[Transaction]:
    """Return the runs in dpkg.log: one begins where dpkg says that it starts, which each of its processes does."""
    found: list[_DpkgRun] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 4 or not re.fullmatch(r"\d{4}-\d\d-\d\d", words[0]):
            continue
        at = to_ms(f"{words[0]} {words[1]}")
        if not found or words[2] == "startup":
            found.append(_DpkgRun(at, _run_id("dpkg", at, [one.started_ms for one in found[-9:]])))
        found[-1].ended_ms = at
        found[-1].line(words[2:])
    return [run for one in found if (run := one.told()) is not None]


def _dpkg_change(words: list[str]) -> PackageChange | None:
    if words[0] not in ("install", "upgrade", "remove", "purge", "configure", "trigproc") or len(words) < 4:
        return None
    name, _, architecture = words[1].partition(":")
    before, after = ("" if each == "<none>" else each for each in words[2:4])
    if words[0] in ("configure", "trigproc"):
        return PackageChange(name=name, architecture=architecture, deed="configure", before=before, after=before)
    deed = "downgrade" if before and after and is_older_dpkg(after, before) else words[0]
    return PackageChange(name=name, architecture=architecture, deed=deed, before=before, after=after)


def _joined(former: PackageChange | None, change: PackageChange) -> PackageChange:
    if former is None:
        return change
    return PackageChange(
        name=change.name,
        architecture=change.architecture,
        deed=change.deed,
        before=former.before or change.before,
        after=change.after,
    )
