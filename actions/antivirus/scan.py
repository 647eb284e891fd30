"""Scans: daily what changed, and then what the signatures have moved past; or, for a person, what he names, as a whole."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from actions.antivirus.book import opened as opened_book
from actions.antivirus.clamav import Clamav
from actions.antivirus.kinds import SCAN_FAILED, SCANNED
from actions.antivirus.options import AntivirusOptions, ScanOptions
from actions.antivirus.pace import Pace
from actions.antivirus.scanning import Scan, Tally, delta
from analysis.antivirus.kinds import FOUND, NOT_SCANNED
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, Unavailable, UsageError, Why
from contracts.event import Event, Kind
from contracts.host import Host
from contracts.openings import Stamp
from contracts.outcome import Failed
from contracts.text import escape, unescape

SCHEDULE = "schedule"
"""Who asks where nobody does (`agent.timed`): that there is no antivirus is stated by the judge, not by every deed of every day."""
CLEAN_CODE, FOUND_CODE, ERROR_CODE = 0, 1, 2
"""As clamscan(1) exits. What was skipped is not clean: a scan that left something out ends with 2, too, when it found nothing."""


class ScanFiles:
    """Scans through clamd; it only reads."""

    name: ClassVar[str] = "scan"
    kinds: ClassVar[tuple[Kind, ...]] = (FOUND, NOT_SCANNED, SCANNED, SCAN_FAILED)
    options: ClassVar[type[AntivirusOptions]] = AntivirusOptions
    arguments: ClassVar[Mapping[str, str]] = {
        "path": "str",
        "paths": "list",
        "delta": "bool",
        "told": "str",
        "first": "list",
        "beyond": "int",
    }
    """`path` or `paths` (in `contracts.text.escape` form) instead of those of the settings; with `delta` what the book does not know.

    The core adds `first` (`agent.scan_first`): files that somebody saw change, wherever they are; `beyond` of them it could not remember.
    """
    deadline_s: ClassVar[float] = 7 * 86400.0
    capabilities: ClassVar[tuple[str, ...]] = ("CAP_DAC_READ_SEARCH",)

    def __init__(self, options: AntivirusOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Scan; the answer holds `code` as clamscan's, the counts, and `found` and `not_scanned` as lines."""
        named = _named(command, self._options.scan)
        roots = list(_roots(named))
        if command.dry_run:
            return Result(summary=f"would scan {', '.join(escape(root) for root in roots)}")
        if not host.state:
            raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
        began = host.monotonic()
        is_delta = bool(command.arguments.get("delta"))
        clamav = Clamav(host, self._options.clamav)
        try:
            address, limits = clamav.daemon()
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT and command.who == SCHEDULE:
                return Result(summary=f"{error.message}: nothing is scanned", answer={"code": 69})  # EX_UNAVAILABLE
            raise
        # A person waits for what he asked for; the daily scan waits for everybody else.
        at_most_s = self._options.scan.at_most if is_delta else 0.0
        pace = Pace(host, self._options.scan, at_most_s, patient=command.who == SCHEDULE)
        scan = Scan(
            host,
            address,
            limits,
            pace,
            largest=self._options.scan.largest,
            at_once=self._options.scan.at_once,
            how="in a scan",
            tell=_teller(progress, pace),
        )
        _note_what_is_not_there(host, scan.tally, [path for path in named if path not in roots])
        try:
            if is_delta:
                trouble = self._delta(
                    host, scan, named, clamav.version(address)[0], list(_first(command, self._options.scan.excludes))
                )
            else:
                trouble = self._whole(scan, named)
        except HoldfastError as error:
            return _failed(scan.tally, error, host.monotonic() - began, str(command.arguments.get("told", "")))
        beyond = command.arguments.get("beyond")
        left = [f"{beyond} changed files were too many to remember"] if beyond else []
        return _ended(scan.tally, roots, host.monotonic() - began, pace, is_delta, [*trouble, *left])

    def _whole(self, scan: Scan, named: list[bytes]) -> list[str]:
        options = self._options.scan
        excluded = _excluded(options.excludes, named)
        for root in _roots(named):
            scan.tree(root, excluded, options.one_file_system, _everything, _nothing)
        return []

    def _delta(self, host: Host, scan: Scan, named: list[bytes], signatures: str, first: list[bytes]) -> list[str]:
        """Scan what was seen to change, then what the book does not know; returns what went wrong beside it."""
        options = self._options.scan
        excluded = _excluded(options.excludes, named)
        with opened_book(host.state) as book:
            epoch = book.epoch(signatures)

            def clean(path: bytes, stamp: Stamp) -> None:
                book.clean(path, stamp, epoch)

            scan.seen_to_change(first, clean)
            for again in (False, True):
                wanted = delta(book, epoch, scan.tally, again)
                for root in _roots(named):
                    if scan.tally.complete:
                        scan.tree(root, excluded, options.one_file_system, wanted, clean, again)
        return (
            [f"what was scanned could not all be noted ({book.trouble}): it is scanned again"] if book.trouble else []
        )


def _everything(path: bytes, stamp: Stamp) -> bool:  # noqa: ARG001  # whatever it is
    return True


def _nothing(path: bytes, stamp: Stamp) -> None:
    """What a person has scanned is not noted: the daily scan looks at it in its own turn."""


def _named(command: Command, options: ScanOptions) -> list[bytes]:
    """The files and folders that are asked for, each once and without a slash at its end."""
    named = command.arguments.get("paths") or command.arguments.get("path")
    given = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    try:
        raw = [unescape(str(each)) for each in given] or [os.fsencode(each) for each in options.paths]
    except ValueError as error:
        raise UsageError(f"a path is not as Holdfast writes them: {error}", advice="name it as it was shown") from error
    for path in raw:
        if not path.startswith(b"/") or b"\0" in path or b"/../" in path + b"/":
            raise UsageError(f'"{escape(path)}" is no absolute path', advice="begin it with /, without ..")
    return sorted({path.rstrip(b"/") or b"/" for path in raw})


def _roots(named: list[bytes]) -> Iterator[bytes]:
    """The trees to scan: what is named below another one is scanned with it."""
    for root in named:
        if not any(root != other and root.startswith(other.rstrip(b"/") + b"/") for other in named):
            yield root


def _note_what_is_not_there(host: Host, tally: Tally, paths: list[bytes]) -> None:
    """Note what is named below another tree and does not exist: the walk does not meet it."""
    for path in paths:
        opened = host.openings.one(path)
        if opened.descriptor >= 0:
            os.close(opened.descriptor)
        if opened.flaw == "gone":
            tally.miss(path, "there is no such file or folder")


def _first(command: Command, excludes: tuple[str, ...]) -> Iterator[bytes]:
    """The files that were seen to change; b"" in the place of one that is left out, or that does not read as a path."""
    named = command.arguments.get("first")
    for each in named if isinstance(named, list) else ():
        try:
            path = unescape(str(each))
        except ValueError:
            path = b""
        fits = path.startswith(b"/") and b"\0" not in path and b"/../" not in path + b"/"
        out = any((path + b"/").startswith(os.fsencode(other).rstrip(b"/") + b"/") for other in excludes)
        yield path if fits and not out else b""


def _excluded(excludes: tuple[str, ...], roots: list[bytes]) -> Callable[[bytes, bool], bool]:
    """What is left out; not what somebody names himself."""
    raw = frozenset(path for each in excludes if (path := os.fsencode(each).rstrip(b"/")) not in roots)
    return lambda path, _: path in raw


def _teller(progress: Progress, pace: Pace) -> Callable[[Tally, bytes], None]:
    def tell(tally: Tally, path: bytes) -> None:
        waits = f"; waited for {pace.waits_for}" if pace.paused_s else ""
        what = f"{tally.infected} infected, {tally.unscanned} not scanned{waits}; {escape(path)[-100:]}"
        progress(tally.files, 0, "files", what)

    return tell


def _ended(
    tally: Tally, roots: list[bytes], seconds: float, pace: Pace, is_delta: bool, trouble: Sequence[str]
) -> Result:
    detail = "its time was up: the next one goes on"
    if tally.complete:
        detail = "gone through to the end" if tally.unscanned else "all of it"
    detail = "; ".join((detail, *trouble))
    scanned = SCANNED.event(
        "scan",
        files=tally.files,
        bytes=tally.bytes,
        infected=tally.infected,
        unscanned=tally.unscanned,
        unchanged=tally.unchanged,
        first=tally.first,
        complete=tally.complete,
        seconds=round(seconds, 1),
        paused_s=round(pace.paused_s, 1),
        detail=detail,
        paths=[escape(root)[:1024] for root in roots[:20]],
    )
    summary = (
        f"{tally.files} files scanned in {seconds:.1f} s, {tally.infected} infected, {tally.unscanned} not scanned"
        f"{f', {tally.unchanged} known to be clean' if is_delta else ''}; {detail}"
    )
    bad = tally.failed or (not is_delta and tally.unscanned > 0)
    code = FOUND_CODE if tally.infected else ERROR_CODE if bad else CLEAN_CODE
    return Result(
        summary=summary,
        events=(*tally.found, *_missed(tally), scanned),
        answer={
            "code": code,
            "files": tally.files,
            "bytes": tally.bytes,
            "infected": tally.infected,
            "unscanned": tally.unscanned,
            "unchanged": tally.unchanged,
            "first": tally.first,
            "seconds": round(seconds, 3),
            "found": [f"{event.key}: {event.fields['signature']} FOUND"[:4200] for event in tally.found],
            "not_scanned": tally.named,
        },
    )


def _failed(tally: Tally, error: HoldfastError, seconds: float, told: str) -> Result:
    text = str(error)[:500]
    event = SCAN_FAILED.event("scan", files=tally.files, seconds=round(seconds, 1), detail=text)
    return Result(
        outcome=Failed(error=text, permanent=False),
        summary=text,
        events=(*tally.found, *(() if told == text else (event,))),
        answer={"code": ERROR_CODE, "files": tally.files, "infected": tally.infected},
    )


def _missed(tally: Tally) -> tuple[Event, ...]:
    """One event for what was not scanned; other filesystems are left out on purpose, and only counted."""
    reasons = {why: count for why, count in tally.reasons.items() if why != "another filesystem"}
    if not reasons:
        return ()
    detail = "; ".join(f"{count} {why}" for why, count in sorted(reasons.items(), key=lambda pair: -pair[1])[:20])
    return (NOT_SCANNED.event("scan", files=sum(reasons.values()), detail=detail[:500], paths=tally.named),)
