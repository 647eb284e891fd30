"""The deeds on the history: keep versions, list them, show one beside what is there, put one back."""

import difflib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from actions.history.kinds import DAMAGED, NOT_KEPT, ROLLED_BACK
from actions.history.options import HistoryOptions
from analysis.excludes import Excludes
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, Refused, UsageError
from contracts.event import Kind, Value
from contracts.host import Host
from contracts.outcome import Failed
from contracts.text import escape, unescape

if TYPE_CHECKING:
    from actions.history.vault import Vault, Version

MOST_LINES = 500
MOST_FILES = 50_000
_READS: tuple[str, ...] = ("CAP_DAC_READ_SEARCH",)


def prepare() -> None:
    """Import what is otherwise imported at the first deed, when this program's files may be out of reach."""
    import actions.history.putting
    import actions.history.vault  # noqa: F401


class _Deed:
    """What they have in common."""

    options: ClassVar[type[HistoryOptions]] = HistoryOptions

    def __init__(self, options: HistoryOptions) -> None:
        self._options = options
        self._hidden = Excludes(options.hidden, ())
        self._excluded = Excludes(options.exclude, ())

    def _vault(self, host: Host) -> "Vault":
        from actions.history.vault import Vault

        if not host.state:
            raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
        return Vault(Path(host.state), _key(self._options.key))

    def _is_watched(self, path: bytes) -> bool:
        """Say whether the settings name the path; nothing else is read or written for anybody."""
        text = os.fsdecode(path)
        below = any(text == each or text.startswith(each.rstrip("/") + "/") for each in self._options.paths)
        return below and ".." not in text.split("/") and not _matches(self._excluded, text)

    def _path(self, command: Command) -> bytes:
        try:
            path = unescape(str(command.arguments.get("path", "")))
        except ValueError as error:
            raise UsageError("the path is not written as Holdfast shows it") from error
        if not self._is_watched(path):
            advice = "see history.paths and history.exclude"
            raise Refused(f"no versions are kept of {escape(path) or 'that'}", advice=advice)
        return path


class HistoryKeep(_Deed):
    """Keeps a version of each file that differs from its last one."""

    name: ClassVar[str] = "history_keep"
    kinds: ClassVar[tuple[Kind, ...]] = (NOT_KEPT, DAMAGED)
    arguments: ClassVar[Mapping[str, str]] = {"path": "str", "paths": "list", "why": "str"}
    """Nothing named: everything that the settings name."""
    capabilities: ClassVar[tuple[str, ...]] = _READS
    deadline_s: ClassVar[float] = 1800.0

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Keep versions; a path at which nothing is any more gets a version that says so."""
        from actions.history.putting import NotKept, read
        from actions.history.vault import Damaged

        paths = self._named(command) if _names_some(command) else list(self._all())[:MOST_FILES]
        if command.dry_run:
            return Result(summary=f"would look at {len(paths)} files")
        vault, kept, lacking, damaged = self._vault(host), 0, [], []
        why = str(command.arguments.get("why", "")) or ("a change" if command.event is not None else "asked for")
        now_ms = int(host.now().timestamp() * 1000)
        for number, path in enumerate(paths):
            if number % 200 == 0:
                progress(number, len(paths), "files")
            try:
                version = read(path, now_ms, self._options.file_below, why)
                if version.content is not None or next(vault.versions(path), None) is not None:
                    kept += vault.keep(version)
            except NotKept as error:
                lacking.append((path, str(error)))
            except Damaged as error:
                damaged.append(DAMAGED.event(escape(path), detail=str(error)))
        gone = vault.thin(self._options.versions, self._options.total)
        events = list(damaged)
        if lacking:
            names = [escape(path) for path, _ in lacking]
            events.append(NOT_KEPT.event("history", count=len(lacking), detail=lacking[0][1][:300], paths=names[:100]))
        summary = (
            f"{kept} new versions of {len(paths)} files; {len(lacking)} could not be kept; {gone} old ones forgotten"
        )
        answer: dict[str, Value] = {"kept": kept, "files": len(paths), "lacking": len(lacking), "forgotten": gone}
        return Result(summary=summary, answer=answer, events=tuple(events))

    def _named(self, command: Command) -> list[bytes]:
        given = command.arguments.get("paths")
        texts = [str(each) for each in given] if isinstance(given, list) else []
        texts += [str(command.arguments["path"])] if command.arguments.get("path") else []
        paths = [unescape(each) for each in texts]
        if any(not self._is_watched(path) for path in paths) and command.event is None:
            raise Refused("no versions are kept of some of these files", advice="see history.paths")
        watched = [path for path in paths if self._is_watched(path)]
        # Of what a rule passes on, folders and links have no content to keep; who names one asks for something else and is told.
        return watched if command.event is None else [path for path in watched if _may_be_kept(path)]

    def _all(self) -> Iterator[bytes]:
        for top in self._options.paths:
            if not os.path.isdir(top) or os.path.islink(top):  # noqa: PTH112, PTH114  # names that need not be UTF-8
                yield os.fsencode(top)
                continue
            for folder, below, names in os.walk(os.fsencode(top)):
                below[:] = [name for name in below if not _matches(self._excluded, os.fsdecode(folder + b"/" + name))]
                for name in names:
                    path = folder + b"/" + name
                    if self._is_watched(path) and os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114
                        yield path


class HistoryList(_Deed):
    """Lists the versions of a file."""

    name: ClassVar[str] = "history_list"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    arguments: ClassVar[Mapping[str, str]] = {"path": "str"}
    capabilities: ClassVar[tuple[str, ...]] = ()

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Return `versions`, one line each: label, size (-1 for nothing there), rights, owner, why; apart by tabs."""
        path = self._path(command)
        lines = [_line(label, version) for label, version in self._vault(host).versions(path)]
        return Result(
            summary=f"{len(lines)} versions of {escape(path)}", answer={"versions": lines, "path": escape(path)}
        )


class HistoryShow(_Deed):
    """Shows a version, or how it differs from what is there; never of a file that is hidden."""

    name: ClassVar[str] = "history_show"
    kinds: ClassVar[tuple[Kind, ...]] = ()
    arguments: ClassVar[Mapping[str, str]] = {"path": "str", "version": "str", "diff": "bool"}
    capabilities: ClassVar[tuple[str, ...]] = _READS

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Return `lines` (of the version, or with `diff` those that differ from now), cut to `MOST_LINES`, and `cut`."""
        from actions.history.putting import read

        path = self._path(command)
        if _matches(self._hidden, os.fsdecode(path)):
            raise Refused(
                f"the content of {escape(path)} is not shown", advice="see history.hidden; it can be put back"
            )
        label, version = self._vault(host).find(path, str(command.arguments.get("version", "")) or "-0")
        lines = _text(version)
        if command.arguments.get("diff"):
            now = _text(read(path, 0, self._options.file_below))
            lines = list(difflib.unified_diff(lines, now, label, "now", lineterm=""))
        answer: dict[str, Value] = {
            "lines": lines[:MOST_LINES],
            "cut": max(0, len(lines) - MOST_LINES),
            "version": label,
        }
        return Result(summary=f"{escape(path)} as of {label}", answer=answer)


class Rollback(_Deed):
    """Puts a version back; what is there is kept first."""

    name: ClassVar[str] = "rollback"
    kinds: ClassVar[tuple[Kind, ...]] = (ROLLED_BACK, DAMAGED)
    arguments: ClassVar[Mapping[str, str]] = {"path": "str", "to": "str", "why": "str"}
    capabilities: ClassVar[tuple[str, ...]] = (*_READS, "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER")

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Put back the version `to` of `path`. Raises `UsageError`, `Refused`, `NotPutBack`; says `Failed` for a damaged history."""
        from actions.history.putting import put, read
        from actions.history.vault import Damaged

        why, to = str(command.arguments.get("why", "")).strip(), str(command.arguments.get("to", ""))
        if not why or not to:
            raise UsageError("a reason and a version are needed", advice="say --why TEXT and --to VERSION")
        path, vault = self._path(command), self._vault(host)
        try:
            label, version = vault.find(path, to)
        except Damaged as error:
            event = DAMAGED.event(escape(path), detail=str(error))
            return Result(outcome=Failed(error=str(error), permanent=True), summary=str(error), events=(event,))
        now = read(path, int(host.now().timestamp() * 1000), self._options.file_below, f"before a rollback to {label}")
        if now.same(version):
            return Result(summary=f"{escape(path)} is as it was at {label} already", answer={"changed": False})
        if command.dry_run:
            return Result(summary=f"would put {escape(path)} back to {label}", answer={"changed": True})
        vault.keep(now)
        former = next(vault.versions(path, newest_first=True))[0]
        lacking = put(version)
        again = read(path, now.at_ms, self._options.file_below)
        if not lacking and not again.same(version):
            raise HoldfastError(f"{escape(path)} is not what was put back: something else wrote it at the same time")
        detail = f"not given back: {', '.join(lacking)}" if lacking else ""
        event = ROLLED_BACK.event(
            escape(path),
            version=label,
            former=former,
            who=command.who or "a rule",
            why=why[:500],
            detail=detail or None,
        )
        summary = f"{escape(path)} is as it was at {label}" + (f"; {detail}" if detail else "")
        return Result(summary=summary, events=(event,), answer={"changed": True, "former": former})


def _names_some(command: Command) -> bool:
    """Say whether the command is about certain files, be they watched or not."""
    return bool(command.arguments.get("path") or command.arguments.get("paths"))


def _may_be_kept(path: bytes) -> bool:
    """Say whether there is a regular file or nothing; what cannot be told is for the reading to name."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return True


def _key(reference: str) -> bytes:
    """Return the key that the settings refer to, b"" for none; raises `UsageError`."""
    if not reference:
        return b""
    kind, _, name = reference.partition(":")
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    path = Path(folder) / name if kind == "credential" else Path(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"history.key: {path}: {(error.strerror or str(error)).lower()}") from error
    text = content.strip()
    if len(text) == 64:
        try:
            return bytes.fromhex(text.decode("ascii"))
        except ValueError as error:
            raise UsageError("history.key holds neither 32 bytes nor 64 hex digits") from error
    return content


def _matches(patterns: Excludes, path: str) -> bool:
    """Say whether the patterns fit the path or a folder above it."""
    parts = path.split("/")
    return any(patterns.match("/".join(parts[:number])) for number in range(2, len(parts) + 1))


def _line(label: str, version: "Version") -> str:
    size = len(version.content) if version.content is not None else -1
    return "\t".join((label, str(size), f"{version.mode:04o}", f"{version.uid}:{version.gid}", version.why[:100]))


def _text(version: "Version") -> list[str]:
    if version.content is None:
        return []
    if b"\0" in version.content:
        raise Refused("it is no text", advice="put it back to see it")
    return version.content.decode("utf-8", "backslashreplace").splitlines()
