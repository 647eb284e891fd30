"""Makes one statement of all the changes that a run of a package tool accounts for, and leaves what stands out. Pure."""

from collections.abc import Iterable, Sequence

from contracts.file_change import Change
from contracts.provenance import PROVED, Level, PackageChange, Provenance, Transaction
from contracts.record import Record

Judged = tuple[Change, Provenance]
SHOWN = 20
"""How many names of unproved changes a fold carries."""


class Fold(Record):
    """One run with what it changed: how many files at each level, and the first names of those that are not proved, with the reason."""

    transaction: Transaction
    files: int
    levels: dict[str, int]
    unproved: tuple[tuple[bytes, str], ...] = ()

    @property
    def proved(self) -> bool:
        """Whether nothing rests on a package's own word: products of scripts do not count against it, lists and records do."""
        return not self.levels.get(Level.LISTED) and not self.levels.get(Level.RECORDED)


def fold(judged: Iterable[Judged], transactions: Sequence[Transaction]) -> tuple[list[Fold], list[Judged]]:
    """Return the runs with what they account for, in their order, and the changes that none accounts for.

    A run of pip leaves no log: what its records account for, of one package and version, is a run of its own. A run that changed no
    watched file is there, too: that it ran is worth a line.
    """
    by_run: dict[str, list[Judged]] = {run.id: [] for run in transactions}
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
        return runs.get(provenance.transaction)
    if provenance.level is not Level.RECORDED:
        return None
    name = f"pip-{provenance.package}-{provenance.version}"
    deed = PackageChange(name=provenance.package, deed="install", after=provenance.version)
    return runs.get(name) or Transaction(
        id=name, tool="pip", started_ms=change.at_ms, ended_ms=change.at_ms, packages=(deed,)
    )


def _folded(run: Transaction, held: Sequence[Judged]) -> Fold:
    levels: dict[str, int] = {}
    for _, provenance in held:
        levels[provenance.level] = levels.get(provenance.level, 0) + 1
    weak = [(change.path, provenance.basis) for change, provenance in held if provenance.level not in PROVED]
    weak.sort(key=lambda pair: pair[0])
    return Fold(transaction=run, files=len(held), levels=levels, unproved=tuple(weak[:SHOWN]))


def summary(run: Transaction, most: int = 3) -> str:
    """Return what a run did in words: `openssh-server 1:9.2p1-2 -> -3`; the first `most` packages, and how many more."""
    told = [_package(one) for one in run.packages[:most]]
    more = len(run.packages) - most
    return ", ".join(told) + (f" and {more} more" if more > 0 else "") if told else f"{run.tool} without packages"


def _package(one: PackageChange) -> str:
    if not one.after:
        return f"{one.name} {one.before} {'purged' if one.deed == 'purge' else 'removed'}".replace("  ", " ")
    if not one.before:
        return f"{one.name} {one.after} installed"
    if one.before == one.after:
        return f"{one.name} {one.after} again"
    return f"{one.name} {one.before} -> {shortened(one.before, one.after)}"


def shortened(before: str, after: str) -> str:
    """Return the second version without the part before its last `-` that it shares with the first."""
    head, dash, tail = after.rpartition("-")
    return dash + tail if dash and before.rpartition("-")[0] == head else after
