"""Scans files one after the other as they change: opened safely, handed to clamd, and what is found stated with its digest."""

import os
from collections.abc import Callable

import msgspec

from analysis.antivirus import clamav_conf
from analysis.antivirus.kinds import found
from collectors.antivirus.options import Options
from contracts.clamd import CLEAN, INFECTED, Verdict
from contracts.errors import Unavailable, Why
from contracts.event import Event
from contracts.host import ReadOnlyHost
from contracts.openings import Opened
from contracts.subjects.antivirus import Limits

AT_ONCE = 8
"""Files that clamd is given at once."""
MOST_TOLD = 10_000


class Scanner:
    """Scans lists of paths; `skipped` collects what was not scanned, with the reason."""

    def __init__(self, host: ReadOnlyHost, options: Options, tell: Callable[[Event], None]) -> None:
        self._host, self._options, self._tell = host, options, tell
        self.skipped: dict[bytes, str] = {}
        self._told: dict[tuple[int, int, int, bytes], None] = {}
        """What was stated of late: two notices of one change are one finding."""

    def scan(self, paths: list[bytes]) -> None:
        """Scan the files at `paths`; those that are gone again are passed over. Raises `Unavailable` without a daemon."""
        address, limits = self._daemon()
        if address.startswith("unix:"):
            with self._host.clamd.session(address) as session:
                under_way: dict[int, Opened] = {}
                try:
                    for path in paths:
                        opened = self._open(path)
                        if opened is not None:
                            under_way[session.submit(opened.descriptor)] = opened
                        while session.waiting >= AT_ONCE:
                            self._settle(under_way, session.verdicts(), limits)
                    while session.waiting:
                        self._settle(under_way, session.verdicts(), limits)
                finally:
                    for opened in under_way.values():
                        os.close(opened.descriptor)
            return
        for path in paths:
            opened = self._open(path)
            if opened is not None:
                try:
                    verdict = self._host.clamd.stream(address, opened.descriptor, limits.stream_bytes or 100 << 20)
                    self._judge(opened, verdict, limits)
                finally:
                    os.close(opened.descriptor)

    def _daemon(self) -> tuple[str, Limits]:
        """Where clamd is, and up to where it looks; raises `Unavailable`."""
        for path in self._options.clamav.clamd_confs():
            try:
                conf = clamav_conf.parse(self._host.files.read(path).decode("utf-8", "replace"))
            except Unavailable as error:
                if error.why is not Why.NOT_PRESENT:
                    raise
                continue
            for address in clamav_conf.addresses(conf):
                return address, clamav_conf.limits(conf)
        raise Unavailable(
            Why.NOT_PRESENT, "clamd is not configured on this host", advice="install the package clamav-daemon"
        )

    def _open(self, path: bytes) -> Opened | None:
        opened = self._host.openings.one(path)
        if opened.flaw:
            if opened.flaw != "gone":
                self.skipped[path] = opened.flaw
            return None
        if opened.size > self._options.largest:
            os.close(opened.descriptor)
            self.skipped[path] = f"{opened.size} bytes are over the setting `largest`"
            return None
        return opened

    def _settle(self, under_way: dict[int, Opened], verdicts: list[tuple[int, Verdict]], limits: Limits) -> None:
        for number, verdict in verdicts:
            opened = under_way.pop(number)
            try:
                self._judge(opened, verdict, limits)
            finally:
                os.close(opened.descriptor)

    def _judge(self, opened: Opened, verdict: Verdict, limits: Limits) -> None:
        if verdict.state == INFECTED:
            what = (opened.device, opened.inode, opened.ctime_ns, opened.path)
            if what not in self._told:
                self._told[what] = None
                if len(self._told) > MOST_TOLD:
                    del self._told[next(iter(self._told))]
                # It may have been opened while it was still being written.
                whole = msgspec.structs.replace(opened, size=os.fstat(opened.descriptor).st_size)
                self._tell(found(self._host.openings, whole, verdict.signature, "as it changed"))
        elif verdict.state != CLEAN:
            self.skipped[opened.path] = verdict.detail
        elif 0 < limits.file_bytes < opened.size:
            self.skipped[opened.path] = f"{opened.size} bytes are over clamd's MaxFileSize"
