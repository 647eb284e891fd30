"""A judge with its memory: `Court.judge` judges one state of the world and keeps what was concluded."""

from collections.abc import Mapping
from typing import Any

import pytest

from contracts.event import Event
from contracts.judge import Judge, View
from contracts.snapshot import Snapshot, apply


class Court:
    """Runs one judge as the core does."""

    def __init__(self, judge: Judge[Any]) -> None:
        self.judging = judge
        self.before: Snapshot[Any] = Snapshot(subject=judge.name)
        self.events: list[Event] = []

    def judge(
        self,
        rows: Mapping[str, Mapping[str, Any] | None],
        accepted: Mapping[str, tuple[int, Mapping[str, Any]]] | None = None,
        now_ms: int = 1_000,
    ) -> list[str]:
        """Judge; a subject whose rows are None was never looked at. Returns the kinds of the events."""
        snapshots = {
            subject: Snapshot(
                subject=subject, revision=int(rows.get(subject) is not None), rows=rows.get(subject) or {}
            )
            for subject in self.judging.subjects
        }
        baselines = {
            subject: Snapshot(subject=subject, revision=revision, rows=content)
            for subject in self.judging.subjects
            for revision, content in [(accepted or {}).get(subject, (0, {}))]
        }
        report = self.judging.judge(View(snapshots=snapshots, accepted=baselines, now_ms=now_ms), self.before)
        after = apply(self.before.rows, report.changes)
        self.before = Snapshot(subject=self.judging.name, revision=self.before.revision + 1, rows=after)
        self.events += report.events
        declared = {kind.name: kind for kind in self.judging.kinds}
        for event in report.events:
            assert declared[event.kind].title.format(key=event.key, **event.fields)
        return [event.kind for event in report.events]

    def holding(self, begins: str, ceases: str) -> set[str]:
        """Return the keys that hold by the events alone; fails when one was stated twice in a row."""
        held: set[str] = set()
        for event in self.events:
            if event.kind == begins:
                assert event.key not in held, f"{event.key} began twice"
                held.add(event.key)
            elif event.kind == ceases:
                assert event.key in held, f"{event.key} ceased without having begun"
                held.remove(event.key)
        return held


@pytest.fixture(scope="session")
def court() -> type[Court]:
    return Court
