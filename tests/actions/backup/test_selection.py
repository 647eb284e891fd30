"""Selection means what restic means by the same words."""

import json
from pathlib import Path

import pytest

from actions.backup.errors import Damaged
from actions.backup.repository import Repository
from actions.backup.selection import NoSuchSnapshot, Selection, find_snapshot, resolve, select
from actions.backup.snapshot import Snapshot
from tests.actions.backup.conftest import Restic


@pytest.fixture
def made(repository: Repository) -> list[str]:
    return [
        repository.save_snapshot(
            Snapshot(
                time=f"2026-01-{n + 1:02d}T00:00:00Z",
                tree="0" * 64,
                paths=["/a", "/b"][: n % 2 + 1],
                hostname=f"h{n % 3}",
                tags=["t", "u"][: n % 3],
            )
        )
        for n in range(12)
    ]


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(), []),
        (Selection(hosts=("h1",)), ["--host", "h1"]),
        (Selection(hosts=("h1", "h2")), ["--host", "h1", "--host", "h2"]),
        (Selection(tags=(("t", "u"),)), ["--tag", "t,u"]),
        (Selection(tags=(("u",), ("t",))), ["--tag", "u", "--tag", "t"]),
        (Selection(tags=((),)), ["--tag", ""]),
        (Selection(paths=("/a", "/b")), ["--path", "/a", "--path", "/b"]),
        (Selection(hosts=("h2",), paths=("/b",)), ["--host", "h2", "--path", "/b"]),
        (Selection(hosts=("nobody",)), ["--host", "nobody"]),
    ],
)
def test_the_same_snapshots_as_restic(
    repository: Repository, restic: Restic, made: list[str], selection: Selection, words: list[str]
) -> None:
    theirs = json.loads(restic("snapshots", "--json", *words).stdout) or []
    assert [id for id, _ in select(repository, selection)] == [s["id"] for s in theirs]


def test_a_snapshot_is_found_by_any_word_for_it(repository: Repository, made: list[str]) -> None:
    assert find_snapshot(repository, "latest")[0] == made[11]
    assert find_snapshot(repository, "latest", Selection(hosts=("h0",)))[0] == made[9]
    assert find_snapshot(repository, made[4])[0] == made[4]
    assert find_snapshot(repository, made[4][:12])[0] == made[4]


@pytest.mark.parametrize("word", ["", "a", "zz", "f" * 64, "../../etc/passwd", "LATEST"])
def test_a_word_for_nothing_is_refused(repository: Repository, made: list[str], word: str) -> None:
    with pytest.raises(NoSuchSnapshot):
        find_snapshot(repository, word)


def test_a_word_for_several_is_refused() -> None:
    with pytest.raises(NoSuchSnapshot, match="begins the ids of 2 keys"):
        resolve(["ab1", "ab2", "b"], "ab", "key")
    assert resolve(["ab1", "ab2", "b"], "ab1", "key") == "ab1"


def test_latest_of_nothing(repository: Repository) -> None:
    with pytest.raises(NoSuchSnapshot, match="no snapshot is there"):
        find_snapshot(repository, "latest")


def test_a_snapshot_that_cannot_be_read_is_told_and_the_others_are_found(
    repository: Repository, made: list[str], where: Path
) -> None:
    (where / "snapshots" / ("e" * 64)).write_bytes(b"added by somebody")
    with pytest.raises(Damaged, match="e" * 64):
        select(repository)
    told: list[Damaged] = []
    assert [id for id, _ in select(repository, trouble=told.append)] == made
    assert find_snapshot(repository, "latest", trouble=told.append)[0] == made[11]
    assert [problem.where for problem in told] == [f"snapshot/{'e' * 64}"] * 2
