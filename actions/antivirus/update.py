"""Brings ClamAV's signatures up to date: what is current, freshclam, the files in their place, and clamd that has loaded them."""

import errno
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from actions.antivirus import current, freshclam_run
from actions.antivirus.clamav import Clamav, available_bytes
from actions.antivirus.kinds import CURRENT, UPDATE_FAILED, UPDATE_HELD, UPDATED
from actions.antivirus.options import AntivirusOptions
from actions.antivirus.placing import place
from analysis.antivirus import clamav_conf
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, Unavailable, UsageError, Why
from contracts.event import Event, Kind
from contracts.host import Host
from contracts.outcome import Failed, Ok
from contracts.subjects.antivirus import CLAMAV, SUBJECT

SCHEDULE = "schedule"
"""Who asks where nobody does (`agent.timed`)."""
RELOAD_S = 180.0
STEP_S = 0.2
_LEAST_BYTES = 64 << 20


class UpdateSignatures:
    """Updates when something newer is known of, or when a person says so."""

    name: ClassVar[str] = "update_signatures"
    kinds: ClassVar[tuple[Kind, ...]] = (CURRENT, UPDATED, UPDATE_FAILED, UPDATE_HELD)
    options: ClassVar[type[AntivirusOptions]] = AntivirusOptions
    arguments: ClassVar[Mapping[str, str]] = {"force": "bool", "told": "str"}
    """`force` runs freshclam also when nothing newer is known of."""
    deadline_s: ClassVar[float] = 7200.0
    capabilities: ClassVar[tuple[str, ...]] = ("CAP_CHOWN", "CAP_DAC_OVERRIDE")

    def __init__(self, options: AntivirusOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Update; under dry run only say what would be done. What was found out is in the events."""
        run = _Update(host, self._options, command, progress)
        try:
            return run.whole()
        except NothingToUpdate as error:
            if command.who == SCHEDULE:
                return Result(summary=f"{error.message}: nothing is updated", answer={"code": error.exit_code})
            raise
        except HoldfastError as error:
            event = UPDATE_FAILED.event(
                CLAMAV, product=CLAMAV, detail=str(error)[:500], seconds=round(host.monotonic() - run.began, 1)
            )
            told = str(command.arguments.get("told", ""))
            return Result(
                outcome=Failed(error=str(error)[:500], permanent=False),
                summary=str(error),
                events=(*run.events, *(() if told == str(error)[:500] else (event,))),
                answer={"code": error.exit_code},
            )


class _Update:
    """One update."""

    def __init__(self, host: Host, options: AntivirusOptions, command: Command, progress: Progress) -> None:
        self._host, self._options, self._command, self._progress = host, options.update, command, progress
        self._clamav = Clamav(host, options.clamav)
        self.began = host.monotonic()
        self.events: list[Event] = []

    def whole(self) -> Result:
        """Update; what the disk refuses is an update that failed, like any other. Raises `HoldfastError`."""
        try:
            return self.run()
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            full = "make room on the disk" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "see why"
            raise NotUpdated(f"{where}{(error.strerror or str(error)).lower()}", advice=full) from error

    def run(self) -> Result:
        if not self._host.state:
            raise UsageError("this worker has no folder of its own", advice="start it as a service or by the agent")
        try:
            text, conf = self._clamav.freshclam()
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                raise NothingToUpdate(error.message, advice=error.advice) from error
            raise
        target = conf.text("DatabaseDirectory", clamav_conf.DATABASES)
        former = self._clamav.daily(target)
        force = bool(self._command.arguments.get("force"))
        newest, trouble = self._learn(conf)
        if -1 < newest <= former and not force:
            return self._reloaded(target, former, former, [], f"version {former} is current")
        if not (self._options.enabled or force):
            return self._done(f"version {newest} is current, {former} is here, and `antivirus.update.enabled` is off")
        if self._command.dry_run:
            return Result(summary=f"would run freshclam: {former} is here, {_said(newest, trouble)} is current")
        held = self._held(conf, target)
        if held is not None:
            return self._also_loaded(held, target)
        return self._fetch(text, conf, target, former, trouble)

    def _learn(self, conf: clamav_conf.Conf) -> tuple[int, str]:
        """The newest version that is known of, -1 for none, and why it is not known."""
        mirror = self._options.mirror or conf.text("PrivateMirror")
        mirror = mirror if not mirror or "://" in mirror else f"http://{mirror}"
        try:
            if mirror:
                known = current.by_mirror(mirror)
            elif self._options.dns:
                known = current.by_dns(self._host, conf.text("DNSDatabaseInfo"))
            else:
                return -1, "neither a mirror nor DNS may be asked"
        except Unavailable as error:
            return -1, error.message
        self.events.append(
            CURRENT.event(
                f"{CLAMAV}/{known.source}",
                product=CLAMAV,
                newest=known.version,
                source=known.source,
                announced_ms=known.announced_ms,
            )
        )
        now_ms = round(self._host.now().timestamp() * 1000)
        if known.source == "dns" and abs(now_ms - known.announced_ms) > current.RECORD_VALID_MS:
            return -1, f"the record in DNS is of {_when(known.announced_ms)}: what it says may be long past"
        return known.version, ""

    def _held(self, conf: clamav_conf.Conf, target: str) -> Result | None:
        """Why freshclam must not run now: the servers asked to wait, or loading its test would take the memory of others."""
        until_ms = freshclam_run.cooling_until_ms(self._host, target, freshclam_run.own_folder(self._host.state))
        now_ms = round(self._host.now().timestamp() * 1000)
        if until_ms > now_ms:
            return self._hold(f"the servers asked to be left alone until {_when(until_ms)}", until_ms)
        if freshclam_run.tests_databases(conf) and (short := self._short_of_memory(target)):
            return self._hold(f"{short} to test new signatures")
        return None

    def _hold(self, detail: str, until_ms: int = 0) -> Result:
        self.events.append(UPDATE_HELD.event(CLAMAV, product=CLAMAV, detail=detail, until_ms=until_ms))
        return self._done(detail, code=75)  # EX_TEMPFAIL

    def _short_of_memory(self, target: str) -> str:
        """Why loading the signatures once more would be too much, "" when it would not."""
        names = freshclam_run.databases(target)
        size = sum(Path(target, name).lstat().st_size for name in names)
        needed = max(_LEAST_BYTES, round(size * self._options.memory))
        free = available_bytes(self._host)
        if 0 <= free < needed and self._options.memory:
            return f"{free >> 20} MiB of memory are free, and {needed >> 20} MiB are asked for"
        return ""

    def _fetch(self, text: str, conf: clamav_conf.Conf, target: str, former: int, trouble: str) -> Result:
        own = freshclam_run.own_folder(self._host.state)
        freshclam_run.seed(target, own)
        self._progress(0, 0, "", "freshclam runs")
        written = freshclam_run.configuration(text, own, self._options.mirror, self._options.relay)
        ran = freshclam_run.run(self._host, written, own, self._options.timeout)
        # What it brought and tested before it failed is good: one source that fails must not hold back all others.
        placed = place(own, target)
        now = self._clamav.daily(target)
        if former > -1 and now < former:
            raise NotUpdated(f"the daily database went from version {former} back to {now}")
        detail = f"{', '.join(placed)} placed" if placed else "nothing newer was there"
        if not ran.code:
            return self._reloaded(target, former, now, placed, detail)
        held = self._held(conf, target)
        if held is not None and not placed:
            return self._also_loaded(held, target)
        why = ran.trouble or trouble or ran.said.strip()[-200:]
        failed = f"freshclam ended with code {ran.code}: {why}"
        done = self._reloaded(target, former, now, placed, detail)
        if placed or "has loaded" in done.summary:
            failed += f"; nonetheless: {done.summary}"
        raise NotUpdated(failed)

    def _also_loaded(self, held: Result, target: str) -> Result:
        """Have clamd load what lies there already, for which nobody has to be asked; return what was held, with what came of it."""
        here = self._clamav.daily(target)
        done = self._reloaded(target, here, here, [], "newer signatures were on the disk")
        if "has loaded" not in done.summary:
            return held
        return msgspec.structs.replace(
            held, summary=f"{held.summary}; {done.summary}", events=tuple(self.events), looks=done.looks
        )

    def _reloaded(self, target: str, former: int, now: int, placed: list[str], detail: str) -> Result:
        """Have clamd load what is on the disk when it works with something older, and verify that it does."""
        try:
            address, _ = self._clamav.daemon()
            loaded = self._clamav.loaded(address)
        except Unavailable as error:
            return self._updated(former, now, -1, placed, f"{detail}; clamd was not asked ({error.message})")
        if (loaded >= now and not placed) or self._command.dry_run:
            return self._updated(former, now, loaded, placed, detail)
        conf = self._clamav.clamd() or clamav_conf.parse("")
        if conf.flag("ConcurrentDatabaseReload", default=True) and (short := self._short_of_memory(target)):
            self.events.append(
                UPDATE_HELD.event(CLAMAV, product=CLAMAV, detail=f"clamd was not told to reload: {short}", until_ms=0)
            )
            return self._updated(former, now, loaded, placed, f"{detail}; clamd was not told to reload: {short}")
        self._progress(0, 0, "", "clamd reloads")
        self._host.clamd.ask(address, "RELOAD")
        loaded = self._wait_for(address, now)
        if loaded < now:
            raise NotUpdated(f"clamd still works with version {loaded} {RELOAD_S:.0f} s after it was told to reload")
        return self._updated(former, now, loaded, placed, f"{detail}; clamd has loaded {loaded}")

    def _wait_for(self, address: str, version: int) -> int:
        until = self._host.monotonic() + RELOAD_S
        loaded = -1
        while self._host.monotonic() < until:
            try:
                loaded = self._clamav.loaded(address)
            except Unavailable:
                loaded = -1  # it may be away for a moment while it loads
            if loaded >= version:
                break
            time.sleep(STEP_S)
        return loaded

    def _updated(self, former: int, now: int, loaded: int, placed: list[str], detail: str) -> Result:
        if placed or "has loaded" in detail:
            self.events.append(
                UPDATED.event(
                    CLAMAV,
                    product=CLAMAV,
                    former_version=former,
                    newest=now,
                    loaded=loaded,
                    seconds=round(self._host.monotonic() - self.began, 1),
                    databases=placed,
                    detail=detail[:500],
                )
            )
        return self._done(detail, version=now, loaded=loaded)

    def _done(self, summary: str, code: int = 0, **answer: Any) -> Result:
        return Result(
            outcome=Ok(),
            summary=summary[:2000],
            events=tuple(self.events),
            answer={"code": code, **answer},
            looks={SUBJECT: 0.0},
        )


class NothingToUpdate(HoldfastError):
    """There is no ClamAV whose signatures could be updated."""

    exit_code = 69  # EX_UNAVAILABLE


class NotUpdated(HoldfastError):
    """The update did not come to its end; another try may."""

    permanent = False


def _when(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at_ms / 1000))


def _said(newest: int, trouble: str) -> str:
    return f"version {newest}" if newest >= 0 else f"what is not known ({trouble})"
