"""What concludes: a pure function over the snapshots of one or more subjects and the time."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from contracts.collector import Report
from contracts.event import Kind
from contracts.record import Record
from contracts.snapshot import RowT, Snapshot


class View(Record):
    """What a judge sees: the snapshots of its subjects, what an admin accepted of each (empty when never), and the time in Unix ms.

    `accepted[subject].first` is true when nobody ever accepted a baseline.
    """

    snapshots: Mapping[str, Snapshot[Any]]
    accepted: Mapping[str, Snapshot[Any]]
    now_ms: int


class Judge(Protocol[RowT]):
    """Judges whenever one of its subjects changed, and every `every_s` seconds if that is not zero.

    Its own rows are what it concluded last time (`before`), so that it states a conclusion once, when it begins to hold, and once
    more when it ceases. `rows` maps each subject to its row type. `agent.runs` is the subject of how the collectors' last runs ended
    (rows: `contracts.runs.RunState`).
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    subjects: ClassVar[Mapping[str, type[Record]]]
    row: type[RowT]
    every_s: ClassVar[float]

    def judge(self, view: View, before: Snapshot[RowT]) -> Report[RowT]:
        """Conclude."""
