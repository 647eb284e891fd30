"""Hold: when a history of snapshots is too suspicious to remove anything from it, whatever the policy says.

An attacker who may only add can still let a policy do the removing: by snapshots dated in the future, by so many of them that the good ones
are counted out, by rubbish under good names. So a group whose last snapshots are not what one expects is held until a person has looked.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from actions.backup.retention import Decision, Group, GroupKey
from contracts.errors import HoldfastError

_NS = 1_000_000_000
_DAY_NS = 86400 * _NS


SUSPECTED_TAG = "suspected"
"""What a snapshot bears that looked like the work of an attacker when it was made."""


class Held(HoldfastError):
    """Retention is held: nothing is removed until somebody has looked."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What others found out about snapshots, by id.

    `unproved`: no restore of it has been proved (never tried, failed, or too long ago). `anomalies`: what the tripwire found wrong with it.
    `sizes`: bytes of its files; where missing, the snapshot's own summary serves. `arrived_ns`: when its file came to a target that it
    was replicated to. `pinned`: why it must stay, whatever the policy says. `cleared`: snapshots that were marked as suspected, and that
    a person found good. `standing`: a suspicion that nobody has looked at; nothing is removed meanwhile.
    """

    unproved: frozenset[str] = frozenset()
    anomalies: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    arrived_ns: Mapping[str, int] = field(default_factory=dict)
    pinned: Mapping[str, str] = field(default_factory=dict)
    cleared: frozenset[str] = frozenset()
    standing: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a history is suspicious."""

    future_s: int = 600
    last: int = 3
    """How many of the newest snapshots are looked at."""
    shrink: float = 0.5
    grow: float = 3.0
    """The size of one of the last snapshots, by the median of those before."""
    flood: int = 6
    flood_factor: float = 3.0
    """Snapshots within a day: at least `flood`, and by this factor more than on the busiest day of the month before."""
    backdated_s: int = 3 * 86400


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A decision table after review: the groups, and for each held group the reasons."""

    groups: tuple[Group, ...]
    holds: Mapping[GroupKey, tuple[str, ...]]

    def removable(self) -> list[str]:
        """The ids of the snapshots to remove: none of a group that is held."""
        return [
            decision.id
            for group in self.groups
            if group.key not in self.holds
            for decision in group.decisions
            if not decision.keep
        ]

    def refuse_when_held(self) -> None:
        """Held, with the first group's reasons; asked before anything is pruned."""
        for key, reasons in self.holds.items():
            where = " ".join((key.host, *key.paths, *key.tags)).strip() or "all snapshots"
            more = f" (and {len(self.holds) - 1} more groups)" if len(self.holds) > 1 else ""
            raise Held(
                f"retention is held for {where}{more}: {'; '.join(reasons)}",
                advice="look at the snapshots (`holdfast backup diff`), remove the bad ones by id, then try again",
            )


def review(groups: Sequence[Group], facts: Facts, now_ns: int, limits: Limits | None = None) -> Reviewed:
    """Look at each group's history; pinned snapshots stay. Pure: the facts are all that it knows."""
    limits = limits or Limits()
    pinned = tuple(Group(group.key, tuple(_pinned(d, facts) for d in group.decisions)) for group in groups)
    holds = {group.key: reasons for group in pinned if (reasons := tuple(_suspicions(group, facts, now_ns, limits)))}
    return Reviewed(pinned, holds)


def _pinned(decision: Decision, facts: Facts) -> Decision:
    if why := facts.pinned.get(decision.id):
        return Decision(decision.id, decision.snapshot, (*decision.reasons, f"pinned: {why}"))
    return decision


def _suspicions(group: Group, facts: Facts, now_ns: int, limits: Limits) -> list[str]:
    decisions = group.decisions
    if facts.standing:
        return [facts.standing]
    if all(decision.keep for decision in decisions):
        return []  # nothing would be lost
    found = []
    if not any(decision.keep for decision in decisions):
        found.append(f"the policy keeps none of {len(decisions)} snapshots")
    found += _future(decisions, now_ns, limits)
    found += _unproved(decisions, facts)
    found += _anomalous(decisions, facts, limits)
    found += _deviating(decisions, facts, limits)
    found += _flood(decisions, limits)
    found += _backdated(decisions, facts, limits)
    return found


def _future(decisions: Sequence[Decision], now_ns: int, limits: Limits) -> list[str]:
    ahead = [d for d in decisions if d.snapshot.time_ns > now_ns + limits.future_s * _NS]
    if not ahead:
        return []
    return [f"{_count(ahead)} dated in the future (the newest {ahead[0].snapshot.time}, {ahead[0].id[:8]})"]


def _unproved(decisions: Sequence[Decision], facts: Facts) -> list[str]:
    """The newest snapshot that nothing speaks against must have been proved: it may soon be the only one."""
    good = next((d for d in decisions if not _anomaly(d, facts)), None)
    if good is None:
        return ["every snapshot is under suspicion"]
    if good.id in facts.unproved:
        return [f"the newest good snapshot {good.id[:8]} of {good.snapshot.time} is not proved to restore"]
    return []


def _anomalous(decisions: Sequence[Decision], facts: Facts, limits: Limits) -> list[str]:
    return [
        f"snapshot {d.id[:8]} of {d.snapshot.time} deviates: {anomaly}"
        for d in decisions[: limits.last]
        if (anomaly := _anomaly(d, facts))
    ]


def _anomaly(decision: Decision, facts: Facts) -> str:
    """What is wrong with a snapshot: what was found, or that it was marked when it was made."""
    if decision.id in facts.anomalies:
        return facts.anomalies[decision.id]
    marked = SUSPECTED_TAG in decision.snapshot.tags and decision.id not in facts.cleared
    return "it is marked as suspected" if marked else ""


def _deviating(decisions: Sequence[Decision], facts: Facts, limits: Limits) -> list[str]:
    sizes = [(d, size) for d in decisions if (size := _size(d, facts)) is not None]
    if len(sizes) <= limits.last:
        sizes_before = [size for _, size in sizes[1:]]
        newest = sizes[:1]
    else:
        sizes_before = [size for _, size in sizes[limits.last :]]
        newest = sizes[: limits.last]
    if not sizes_before:
        return []
    usual = median(sizes_before)
    return [
        f"snapshot {d.id[:8]} of {d.snapshot.time} has {size} bytes, where {usual:.0f} are usual"
        for d, size in newest
        if size < limits.shrink * usual or size > max(limits.grow * usual, 1 << 20)
    ]


def _size(decision: Decision, facts: Facts) -> int | None:
    known = facts.sizes.get(decision.id, decision.snapshot.summary.get("total_bytes_processed"))
    return known if isinstance(known, int) else None


def _flood(decisions: Sequence[Decision], limits: Limits) -> list[str]:
    """Far more snapshots in one day than ever in the month before it, while older ones are to go."""
    newest_ns = decisions[0].snapshot.time_ns
    ages = [(newest_ns - d.snapshot.time_ns) // _DAY_NS for d in decisions]
    per_day = Counter(age for age in ages if age <= 30)
    lately = per_day.pop(0)
    removed_before = any(not d.keep for d, age in zip(decisions, ages, strict=True) if age)
    busiest = max(per_day.values(), default=1)
    if not removed_before or lately < limits.flood or lately <= limits.flood_factor * busiest:
        return []
    return [f"{lately} snapshots within a day, where at most {busiest} were made in one of the days before"]


def _backdated(decisions: Sequence[Decision], facts: Facts, limits: Limits) -> list[str]:
    late = [
        d
        for d in decisions
        if (arrived := facts.arrived_ns.get(d.id)) is not None
        and arrived - d.snapshot.time_ns > limits.backdated_s * _NS
    ]
    if not late:
        return []
    return [f"{_count(late)} dated days before they arrived (the newest {late[0].snapshot.time}, {late[0].id[:8]})"]


def _count(decisions: Sequence[Decision]) -> str:
    return "1 snapshot is" if len(decisions) == 1 else f"{len(decisions)} snapshots are"
