"""Retention: which snapshots a policy keeps and why, group by group, as restic's forget decides; a pure function of snapshots and time.

Source: restic's `internal/restic/snapshot_policy.go`; as restic from 0.16 on, a count that is not used up also keeps the oldest snapshot
(0.14 does not), so that a young history grows to the length that is wanted. Hours, days, weeks, months and years are those of the clock
that the snapshot was made by, as its time is written.
"""

import datetime
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from actions.backup.snapshot import Snapshot
from actions.backup.times import parse_time
from contracts.errors import UsageError

UNLIMITED = -1
"""A count that never runs out."""

_NS = 1_000_000_000
_DURATION = re.compile(
    r"\s*(?:(?P<years>\d+)y)?(?:(?P<months>\d+)m)?(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?\s*", re.ASCII
)
_LONG_AGO = -(1 << 80)
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_EPOCH = datetime.date(1970, 1, 1).toordinal()

OffsetAt = Callable[[int], int]
"""Seconds that the local clock is ahead of UTC at a Unix time in seconds."""


def local_offset(seconds: int) -> int:
    """The offset of this machine's zone."""
    return time.localtime(seconds).tm_gmtoff


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of the calendar, such as 1y5m7d2h; false when empty."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def __bool__(self) -> bool:
        return bool(self.years or self.months or self.days or self.hours)

    def __str__(self) -> str:
        return "".join(f"{value}{field.name[0]}" for field in fields(self) if (value := getattr(self, field.name)))


def parse_duration(text: str) -> Duration:
    """Read a span as restic writes it; UsageError for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None or not text.strip():
        raise UsageError(f"{text!r} is not a duration", advice="write years, months, days and hours, such as 1y5m7d2h")
    return Duration(**{name: int(value or 0) for name, value in match.groupdict().items()})


@dataclass(frozen=True, slots=True)
class Policy:
    """What to keep. Counts are 0 for none and UNLIMITED for all; `tags` are alternatives, each a list of tags that must all be there."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Duration = Duration()
    within_hourly: Duration = Duration()
    within_daily: Duration = Duration()
    within_weekly: Duration = Duration()
    within_monthly: Duration = Duration()
    within_yearly: Duration = Duration()
    tags: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
            if getattr(self, name) < UNLIMITED:
                raise UsageError(
                    f"keep-{name} is {getattr(self, name)}", advice="give a number from 0 on, or -1 for all"
                )

    @property
    def empty(self) -> bool:
        """Whether nothing is said: then everything is kept."""
        return self == Policy()


@dataclass(frozen=True, slots=True)
class Grouping:
    """By what snapshots are put together before the policy is applied to each group alone."""

    host: bool = True
    paths: bool = True
    tags: bool = False


def parse_grouping(text: str) -> Grouping:
    """Read "host,paths,tags" (any of them, or nothing for one group); UsageError for other words."""
    words = {word.removesuffix("s") for word in text.split(",") if word}
    if unknown := words - {"host", "path", "tag"}:
        raise UsageError(
            f"{sorted(unknown)[0]!r} is nothing to group by", advice="give host, paths and tags, with commas"
        )
    return Grouping("host" in words, "path" in words, "tag" in words)


class GroupKey(NamedTuple):
    """What the snapshots of a group have in common; empty for what is not grouped by."""

    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one snapshot; `reasons` says why it is kept (restic's words), empty when it goes."""

    id: str
    snapshot: Snapshot
    reasons: tuple[str, ...]

    @property
    def keep(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


@dataclass(frozen=True, slots=True)
class Group:
    """One group with its decisions, the newest snapshot first."""

    key: GroupKey
    decisions: tuple[Decision, ...]


def decide(
    snapshots: Iterable[tuple[str, Snapshot]],
    policy: Policy,
    *,
    now_ns: int,
    grouping: Grouping | None = None,
    offset_at: OffsetAt = local_offset,
) -> list[Group]:
    """The decision table: every snapshot once, in groups ordered by their keys. Nothing is changed anywhere."""
    grouping = grouping or Grouping()
    groups: dict[GroupKey, list[tuple[str, Snapshot]]] = {}
    for id, snapshot in snapshots:
        key = GroupKey(
            snapshot.hostname if grouping.host else "",
            tuple(sorted(snapshot.paths)) if grouping.paths else (),
            tuple(sorted(snapshot.tags)) if grouping.tags else (),
        )
        groups.setdefault(key, []).append((id, snapshot))
    return [Group(key, tuple(apply_policy(groups[key], policy, now_ns, offset_at))) for key in sorted(groups)]


def apply_policy(
    snapshots: Sequence[tuple[str, Snapshot]], policy: Policy, now_ns: int, offset_at: OffsetAt = local_offset
) -> list[Decision]:
    """Decide one group. Of snapshots of the same time the one with the smaller id counts as the newer."""
    ordered = sorted(snapshots, key=lambda pair: (-pair[1].time_ns, pair[0]))
    if policy.empty:
        return [Decision(id, snapshot, ("policy is empty",)) for id, snapshot in ordered]
    rules = _rules(policy, ordered, now_ns, offset_at)
    decisions = []
    for number, (id, snapshot) in enumerate(ordered):
        last = number == len(ordered) - 1
        reasons = (reason for rule in rules for reason in rule(number, snapshot, last))
        decisions.append(Decision(id, snapshot, tuple(reasons)))
    return decisions


_Rule = Callable[[int, Snapshot, bool], list[str]]
_Bucket = Callable[[int, Snapshot], object]


def _rules(policy: Policy, ordered: Sequence[tuple[str, Snapshot]], now_ns: int, offset_at: OffsetAt) -> list[_Rule]:
    """The rules of a policy in restic's order of evaluation."""
    past = [snapshot for _, snapshot in ordered if snapshot.time_ns < now_ns]
    latest = past[0].time if past else None

    def since(span: Duration) -> int:
        return _LONG_AGO if latest is None else _before(latest, span, offset_at)

    rules: list[_Rule] = [_tagged(policy.tags)]
    if policy.within:
        rules.append(_within(since(policy.within), policy.within))
    for word, bucket in _BUCKETS.items():
        if count := getattr(policy, word):
            rules.append(_counted(count, bucket, f"{word} snapshot"))
    for word, bucket in _BUCKETS.items():
        if word != "last" and (span := getattr(policy, f"within_{word}")):
            rules.append(_counted_within(since(span), bucket, f"{word} within {span}"))
    return rules


def _tagged(wanted: tuple[tuple[str, ...], ...]) -> _Rule:
    def rule(_: int, snapshot: Snapshot, __: bool) -> list[str]:
        return [f"has tags [{', '.join(tags)}]" for tags in wanted if set(tags) <= set(snapshot.tags)]

    return rule


def _within(since_ns: int, span: Duration) -> _Rule:
    def rule(_: int, snapshot: Snapshot, __: bool) -> list[str]:
        return [f"within {span}"] if snapshot.time_ns > since_ns else []

    return rule


def _counted(count: int, bucket: _Bucket, reason: str) -> _Rule:
    """Keep the newest of each bucket until the count is used up, and the oldest of all while something of it is left."""
    left, before = count, object()

    def rule(number: int, snapshot: Snapshot, last: bool) -> list[str]:
        nonlocal left, before
        found = bucket(number, snapshot)
        if not left or (found == before and not last):
            return []
        oldest = "oldest " if found == before else ""
        before = found
        left -= left > 0
        return [oldest + reason]

    return rule


def _counted_within(since_ns: int, bucket: _Bucket, reason: str) -> _Rule:
    before: object = object()

    def rule(number: int, snapshot: Snapshot, _: bool) -> list[str]:
        nonlocal before
        found = bucket(number, snapshot)
        if snapshot.time_ns <= since_ns or found == before:
            return []
        before = found
        return [reason]

    return rule


def _week(_: int, snapshot: Snapshot) -> tuple[int, int]:
    """ISO year and week. 400 years are whole weeks, so every year has its like among those that Python can count."""
    year, month, day = int(snapshot.time[:4]), int(snapshot.time[5:7]), int(snapshot.time[8:10])
    like = year % _CYCLE_YEARS + 2000
    date = datetime.date(like, month, 1) + datetime.timedelta(days=day - 1)
    iso = date.isocalendar()
    return iso.year - like + year, iso.week


_BUCKETS: dict[str, _Bucket] = {
    "last": lambda number, _: number,
    "hourly": lambda _, snapshot: snapshot.time[:13],
    "daily": lambda _, snapshot: snapshot.time[:10],
    "weekly": _week,
    "monthly": lambda _, snapshot: snapshot.time[:7],
    "yearly": lambda _, snapshot: snapshot.time[:4],
}


def _before(moment: str, span: Duration, offset_at: OffsetAt) -> int:
    """Unix nanoseconds of `span` before a time: the calendar part on the wall clock, the hours on the real one.

    A time that carries the offset which the local zone had then is of that zone, so that its summer time counts, as in Go.
    """
    ns = parse_time(moment)
    zone = moment[-6:]
    offset = (
        0 if moment.endswith("Z") else (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60) * (-1 if zone[0] == "-" else 1)
    )
    is_local = offset == offset_at(ns // _NS)
    months = (int(moment[:4]) - span.years) * 12 + int(moment[5:7]) - 1 - span.months
    days = _days(*divmod(months, 12)) + int(moment[8:10]) - 1 - span.days
    wall = days * 86400 + (ns // _NS + offset) % 86400
    if is_local:
        guess = offset_at(wall)
        offset = offset_at(wall - guess) if guess else 0
    return (wall - offset - span.hours * 3600) * _NS + ns % _NS


def _days(year: int, month: int) -> int:
    """Days from 1970 to the first of a month (counted from 0) of any year."""
    cycles, within = divmod(year, _CYCLE_YEARS)
    return datetime.date(within + _CYCLE_YEARS, month + 1, 1).toordinal() - _EPOCH + (cycles - 1) * _CYCLE_DAYS
