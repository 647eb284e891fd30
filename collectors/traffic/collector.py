"""How the sensor stands: takes the numbers that its watcher leaves, for the command, the pages and the metrics."""

from typing import ClassVar

from collectors.traffic import board
from collectors.traffic.options import Options
from contracts.collector import Report
from contracts.errors import Unavailable, Why
from contracts.event import Kind
from contracts.host import ReadOnlyHost
from contracts.snapshot import Snapshot, compare
from contracts.subjects.traffic import SUBJECT, Row

ANSWER_S = 3.0
"""A busy watcher answers between two blocks, an idle one within a second."""


class TrafficCollector:
    """The sensor's numbers as rows."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    row: type[Row] = Row
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Row]) -> Report[Row]:
        """Take the rows; raises `Unavailable` while nobody watches."""
        rows = board.of(host).rows(ANSWER_S)
        if rows is None:
            raise Unavailable(
                Why.OTHER, "the sensor does not watch", advice="See what `holdfast coverage` says of its watcher."
            )
        return Report(changes=compare(before.rows, rows))
