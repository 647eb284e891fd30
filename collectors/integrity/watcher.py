"""The watch over files, as the worker starts it; all that it needs is imported when it begins, so that a host without it pays nothing."""

from typing import ClassVar

from collectors.integrity import kinds
from collectors.integrity.options import Options
from contracts.collector import Emit
from contracts.event import Kind
from contracts.host import ReadOnlyHost, Stop
from contracts.subjects.integrity import SUBJECT


class IntegrityWatcher:
    """Follows notices of inotify, scans from time to time, keeps the baseline, and asks for a look when there is something to tell."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = kinds.WATCHED
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def watch(self, host: ReadOnlyHost, emit: Emit, stop: Stop) -> None:
        """Watch until `stop`; raises `Unavailable` without a folder for the baseline, `Malformed` for a damaged one."""
        from collectors.integrity.engine import Engine

        Engine(self._options, host, emit, stop).run()
