"""What a run measures, compared with what really happened to the files."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from actions.backup.archiver import Archiver
from actions.backup.repository import Repository
from actions.backup.tripwire import gauge as module
from actions.backup.tripwire.gauge import Gauge, Totals
from analysis.excludes import Excludes
from analysis.tripwire import Figures, Look, turned
from tests.actions.backup.tripwire.scenarios import jpeg, noise, text

DICE = random.Random(11)


class Nights:
    """Snapshots of one tree, each measured against the one before."""

    def __init__(self, repository: Repository, tree: Path) -> None:
        self.repository, self.tree = repository, tree

    def measure(self, **options: Any) -> tuple[Figures, list[Look]]:
        self.repository.load_index()
        parent = max(self.repository.snapshots(), key=lambda pair: pair[1].time_ns, default=None)
        gauge = Gauge(**options)
        archiver = Archiver(self.repository, watched=gauge)
        _, report = archiver.snapshot([str(self.tree)], hostname="here", parent=parent)
        summary = parent[1].summary if parent else {}
        totals = Totals(
            summary.get("total_files_processed", 0),
            report.files,
            summary.get("total_bytes_processed", 0),
            report.bytes_total,
            report.files_unmodified,
            True,
        )
        return gauge.figures(self.repository.index, totals)


@pytest.fixture
def nights(repository: Repository, tmp_path: Path) -> Nights:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    for number in range(40):
        (tree / "a" / f"note{number}.txt").write_bytes(text(DICE, 6_000))
    made = Nights(repository, tree)
    made.measure()
    return made


def test_changed_touched_new_moved_and_lost_are_counted(nights: Nights) -> None:
    folder = nights.tree / "a"
    (folder / "note0.txt").write_bytes(text(DICE, 6_000))
    os.utime(folder / "note1.txt")
    (folder / "note2.txt").rename(nights.tree / "elsewhere.txt")
    (folder / "note3.txt").unlink()
    (folder / "photo.jpg").write_bytes(jpeg(DICE, 6_000))
    figures, bad = nights.measure()
    assert (figures.files_before, figures.files) == (40, 40)
    assert (figures.changed, figures.new, figures.moved, figures.lost) == (1, 2, 1, 1)
    assert (bad, figures.turned, figures.sealed_bytes) == ([], 0, 0)


def test_encrypted_in_place_and_under_a_new_name_are_files_that_turned(nights: Nights) -> None:
    folder = nights.tree / "a"
    (folder / "note0.txt").write_bytes(noise(6_000, 0))
    (folder / "note1.txt").rename(folder / "note1.txt.zzz")
    (folder / "note1.txt.zzz").write_bytes(noise(6_000, 1))
    (folder / "note2.txt").unlink()
    (folder / "0f3a.qqq").write_bytes(noise(6_000, 2))
    figures, bad = nights.measure()
    assert {os.path.basename(look.path) for look in bad} == {"note0.txt", "note1.txt.zzz", "0f3a.qqq"}
    assert all(turned(look) for look in bad)
    assert (figures.turned, figures.renamed, figures.extensions) == (3, 1, (".zzz",))


def test_a_file_that_could_not_be_read_leaves_nothing_to_the_next(nights: Nights) -> None:
    gauge = Gauge()
    gauge.piece(noise(5_000, 0), new=True)
    gauge.begin()
    assert (gauge._pieces, gauge._head, gauge._middle) == (0, b"", [])


def test_of_many_files_a_part_is_looked_at_and_the_counts_are_projected(
    nights: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    for number in range(40):
        (nights.tree / "a" / f"note{number}.txt").write_bytes(noise(6_000, number))
    figures, bad = nights.measure()
    assert (figures.changed, figures.turned, len(bad)) == (40, 40, 10)


def test_what_begins_with_random_bytes_is_looked_at_first(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PLAIN", 5)
    for number in range(40):
        content = noise(6_000, number) if number in (7, 31) else text(DICE, 6_000)
        (nights.tree / "a" / f"note{number}.txt").write_bytes(content)
    figures, bad = nights.measure()
    assert (figures.changed, figures.turned, len(bad)) == (40, 2, 2)


def test_what_is_ignored_is_counted_and_not_judged(nights: Nights) -> None:
    for number in range(40):
        (nights.tree / "a" / f"note{number}.txt").write_bytes(noise(6_000, number))
    figures, bad = nights.measure(ignored=Excludes((f"{nights.tree}/a",)))
    assert (figures.changed, figures.turned, figures.lost, bad) == (0, 0, 0, [])


def test_the_content_of_a_canary_is_found_under_its_new_name(nights: Nights) -> None:
    import hashlib

    content = text(DICE, 900)
    (nights.tree / "bird").write_bytes(content)
    gauge = Gauge(frozenset({hashlib.sha256(content).hexdigest()}))
    Archiver(nights.repository, watched=gauge).snapshot([str(nights.tree)], hostname="here")
    assert list(gauge.canaries_seen.values()) == [f"{nights.tree}/bird"]
