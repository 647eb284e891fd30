"""Makes one statement of all the changes that a run of a package tool accounts for, and leaves what stands out. Pure."""

from collections.abc import Iterable, Sequence

from contracts.file_change import Change
from contracts.provenance import PROVED, Level, PackageChange, Provenance, Transaction
from contracts.record import Record

Judged = tuple[Change, Provenance]
SHOWN = 20
"""How many names of unproved changes a fold carries."""
LATE_MS = 60_000
"""What a run changed that was told already has a time of change no later than this after its end."""


class Part(Record):
    """What was judged of a run so far: how many files at each level, and the first names of those that are not proved, with the reason."""

    levels: dict[str, int] = {}
    unproved: tuple[tuple[bytes, str], ...] = ()

    @property
    def files(self) -> int:
        """How many files that are."""
        return sum(self.levels.values())

    def and_also(self, other: "Part") -> "Part":
        """Return both together."""
        levels = {
            level: self.levels.get(level, 0) + other.levels.get(level, 0) for level in {**self.levels, **other.levels}
        }
        return Part(levels=levels, unproved=tuple(sorted({*self.unproved, *other.unproved})[:SHOWN]))


class Fold(Part, kw_only=True):
    """One run with what it changed."""

    transaction: Transaction

    @property
    def downgrades(self) -> bool:
        """Whether it put an older version in the place of a newer one: signed, and with the holes that the newer one closed."""
        return any(one.deed == "downgrade" for one in self.transaction.packages)

    @property
    def proved(self) -> bool:
        """Whether nothing rests on a package's own word: products of scripts do not count against it, lists and records do."""
        return not self.levels.get(Level.LISTED) and not self.levels.get(Level.RECORDED)


def fold(judged: Iterable[Judged], transactions: Sequence[Transaction]) -> tuple[list[Fold], list[Judged]]:
    """Return the runs with what they account for, in their order, and the changes that none accounts for.

    A run of pip leaves no log: what its records account for, of one package and version, is a run of its own. A run that changed no
    watched file is there, too: that it ran is worth a line. One that was told before is there only with files that were found since.
    """
    by_run: dict[str, list[Judged]] = {run.id: [] for run in transactions if not run.told}
    runs = {run.id: run for run in transactions}
    rest: list[Judged] = []
    for change, provenance in judged:
        run = _run_of(change, provenance, runs)
        if run is None:
            rest.append((change, provenance))
            continue
        runs.setdefault(run.id, run)
        by_run.setdefault(run.id, []).append((change, provenance))
    return [_folded(runs[name], held) for name, held in by_run.items()], rest


def _run_of(change: Change, provenance: Provenance, runs: dict[str, Transaction]) -> Transaction | None:
    if provenance.level is Level.NONE or provenance.contradicts:
        return None
    if provenance.transaction:
        run = runs.get(provenance.transaction)
        return None if run is not None and run.told and _is_later(change, run) else run
    if provenance.level is not Level.RECORDED:
        return None
    name = f"pip-{provenance.package}-{provenance.version}"
    deed = PackageChange(name=provenance.package, deed="install", after=provenance.version)
    return runs.get(name) or Transaction(
        id=name, tool="pip", started_ms=change.at_ms, ended_ms=change.at_ms, packages=(deed,)
    )


def _is_later(change: Change, run: Transaction) -> bool:
    return change.after is not None and change.after.ctime_ns // 1_000_000 > run.ended_ms + LATE_MS


def _folded(run: Transaction, held: Sequence[Judged]) -> Fold:
    levels: dict[str, int] = {}
    for _, provenance in held:
        levels[provenance.level] = levels.get(provenance.level, 0) + 1
    weak = [(change.path, provenance.basis) for change, provenance in held if provenance.level not in PROVED]
    weak.sort(key=lambda pair: pair[0])
    return Fold(transaction=run, levels=levels, unproved=tuple(weak[:SHOWN]))


def summary(run: Transaction, most: int = 3) -> str:
    """Return what a run did in words: `openssh-server 1:9.2p1-2 -> -3`; the first `most` packages, and how many more."""
    told = [_package(one) for one in run.packages[:most]]
    more = len(run.packages) - most
    text = ", ".join(told) + (f" and {more} more" if more > 0 else "") if told else f"{run.tool} without packages"
    text += f" (unfinished: {run.unfinished})" if run.unfinished else ""
    return text + (", found later" if run.told else "")


def _package(one: PackageChange) -> str:
    if one.deed == "configure":
        return f"{one.name} {one.after} configured"
    if not one.after:
        return f"{one.name} {one.before} {'purged' if one.deed == 'purge' else 'removed'}".replace("  ", " ")
    if not one.before:
        return f"{one.name} {one.after} installed"
    if one.before == one.after:
        return f"{one.name} {one.after} again"
    older = " (downgraded)" if one.deed == "downgrade" else ""
    return f"{one.name} {one.before} -> {shortened(one.before, one.after)}{older}"


def shortened(before: str, after: str) -> str:
    """Return the second version without the part before its last `-` that it shares with the first."""
    head, dash, tail = after.rpartition("-")
    return dash + tail if dash and before.rpartition("-")[0] == head else after
