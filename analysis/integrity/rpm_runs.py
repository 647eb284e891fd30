"""Makes runs of what rpm's database says now and said before: packages that came in one run bear its number; what went bears none. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from analysis.integrity.rpm_package import RpmPackage
from analysis.integrity.versions import is_older_rpm
from contracts.provenance import PackageChange, Transaction
from contracts.record import Record

_SECOND_S = 2
"""How far dnf's whole seconds may lie beside those of rpm."""
NO_END = "dnf's history has no end of it"


class DnfRun(Record):
    """One run as dnf tells it. Times are Unix seconds, `ended_s` 0 for one without an end; `who` the number of a user, "" for none."""

    number: int
    began_s: int
    ended_s: int
    who: str
    command: str
    names: frozenset[str]


def versions(packages: Iterable[RpmPackage]) -> dict[str, str]:
    """Return the versions by name and architecture, several of them with a space between: kernels lie beside each other."""
    found: dict[str, set[str]] = {}
    for one in packages:
        found.setdefault(one.key, set()).add(one.version)
    return {key: " ".join(sorted(held)) for key, held in found.items()}


def runs(
    packages: Sequence[RpmPackage],
    before: Mapping[str, str],
    history: Sequence[DnfRun],
    since_ms: int,
    told: frozenset[str],
    is_busy: bool,
    now_ms: int,
) -> list[Transaction]:
    """Return the runs since a state `before` that were not `told`, oldest first; the last has no end while `is_busy`."""
    came, gone = _changes(packages, before, since_ms)
    found: dict[str, Transaction] = {}
    by_history: dict[int, str] = {}
    for number, pairs in came.items():
        one = _run(number, pairs, history, by_history)
        found[one.id] = one
    for change in gone:
        place = next((each for each in reversed(history) if _may_have_taken(each, change.name, since_ms)), None)
        name = by_history.get(place.number, f"dnf-{place.number}") if place else f"rpm-removed-{since_ms}"
        held = found.get(name) or (_told_by(place, name) if place else _removal(name, now_ms))
        found[name] = replace(held, packages=(*held.packages, change))
    fresh = sorted((one for one in found.values() if one.id not in told), key=lambda one: one.started_ms)
    return [_ended(one, is_busy and one is fresh[-1]) for one in fresh]


def _changes(
    packages: Sequence[RpmPackage], before: Mapping[str, str], since_ms: int
) -> tuple[dict[int, list[tuple[RpmPackage, PackageChange]]], list[PackageChange]]:
    """Return what came, by the number of its run, and what went with nothing in its place."""
    came: dict[int, list[tuple[RpmPackage, PackageChange]]] = {}
    now: dict[str, set[str]] = {}
    for one in packages:
        now.setdefault(one.key, set()).add(one.version)
    added_to = set()
    for one in packages:
        held = before.get(one.key, "").split()
        left = [each for each in held if each not in now[one.key]]
        if one.version not in held:
            deed, old = _deed(one.version, left[-1]) if left else ("install", "")
            added_to.add(one.key)
        elif one.run * 1000 >= since_ms:
            deed, old = "reinstall", one.version
        else:
            continue
        change = PackageChange(name=one.name, deed=deed, before=old, after=one.version, architecture=one.architecture)
        came.setdefault(one.run or one.installed_s, []).append((one, change))
    gone = [
        PackageChange(name=key.rpartition(":")[0], deed="remove", before=each, architecture=key.rpartition(":")[2])
        for key, held_ones in before.items()
        if key not in added_to
        for each in held_ones.split()
        if each not in now.get(key, ())
    ]
    return came, gone


def _deed(version: str, former: str) -> tuple[str, str]:
    return ("downgrade" if is_older_rpm(version, former) else "upgrade"), former


def _run(
    number: int,
    pairs: Sequence[tuple[RpmPackage, PackageChange]],
    history: Sequence[DnfRun],
    by_history: dict[int, str],
) -> Transaction:
    times = [one.installed_s for one, _ in pairs]
    name = f"rpm-{number}"
    run = Transaction(
        id=name,
        tool="rpm",
        started_ms=number * 1000,
        ended_ms=max(number, *times) * 1000 + 999,
        packages=tuple(change for _, change in pairs),
    )
    names = {one.name for one, _ in pairs}
    for told in reversed(history):
        is_in_time = told.began_s - _SECOND_S <= min(times) and (
            not told.ended_s or max(times) <= told.ended_s + _SECOND_S
        )
        if is_in_time and names <= told.names:
            by_history[told.number] = name
            whole = _told_by(told, name)
            ended_ms = max(run.ended_ms, whole.ended_ms)
            return replace(
                whole, packages=run.packages, ended_ms=ended_ms, started_ms=min(run.started_ms, whole.started_ms)
            )
    return run


def _may_have_taken(told: DnfRun, name: str, since_ms: int) -> bool:
    return name in told.names and (not told.ended_s or (told.ended_s + _SECOND_S) * 1000 >= since_ms)


def _told_by(told: DnfRun, name: str) -> Transaction:
    return Transaction(
        id=name,
        tool="dnf",
        started_ms=told.began_s * 1000,
        ended_ms=max(told.ended_s, told.began_s) * 1000 + 999,
        command=told.command,
        who=told.who,
        unfinished="" if told.ended_s else NO_END,
    )


def _removal(name: str, now_ms: int) -> Transaction:
    """rpm keeps no word of what it took away, nor when."""
    return Transaction(id=name, tool="rpm", started_ms=now_ms, ended_ms=now_ms)


def _ended(run: Transaction, is_busy: bool) -> Transaction:
    return replace(run, ended_ms=0, unfinished="") if is_busy else run
