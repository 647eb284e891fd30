"""The words and numbers of a prune plan; what it decides is compared with stock restic in test_prune."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.blobs import BlobType
from actions.backup.prune_plan import (
    Count,
    MaxUnused,
    Numbers,
    PruneOptions,
    parse_max_unused,
    parse_size,
    plan_prune,
)
from actions.backup.repository import Repository
from contracts.errors import UsageError
from tests.actions.backup.histories import change, save


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123", 123),
        ("1k", 1024),
        ("1K", 1024),
        ("2.5m", 2_621_440),
        ("3G", 3 << 30),
        (" 1t ", 1 << 40),
        ("5 MiB", 5 << 20),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1x", "1e3", "0x10", "1 2", "٣"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "used", "allowed"),
    [("5%", 95_000, 5000), ("0%", 1000, 0), ("50%", 700, 700), ("1k", 9, 1024), ("unlimited", 9, None)],
)
def test_how_much_may_stay_unused(text: str, used: int, allowed: int | None) -> None:
    assert parse_max_unused(text).allowed(used) == allowed


@pytest.mark.parametrize("text", ["100%", "-1%", "x%", "nan%", "", "all"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_max_unused(text)


@given(st.floats(0, 99.9), st.integers(0, 1 << 50))
def test_the_share_is_one_of_what_remains(percent: float, used: int) -> None:
    allowed = MaxUnused(percent).allowed(used)
    assert allowed is not None
    assert allowed <= percent / 100 * (used + allowed) * 1.000001 + 1


def test_the_numbers_add_up(where: Path, tmp_path: Path, repository: Repository) -> None:
    dice = random.Random(3)
    ids = []
    for number in range(5):
        change(tmp_path / "tree", dice)
        ids.append(save(where, tmp_path / "tree", number))
    repository.load_index()
    for gone in range(5):
        plan = plan_prune(repository, PruneOptions(max_unused=MaxUnused(0.0)), without=ids[:gone])
        numbers = plan.numbers
        assert numbers.used.blobs + numbers.unused.blobs + numbers.duplicate.blobs == len(repository.index)
        assert numbers.remove.blobs + numbers.repack_remove.blobs == numbers.unused.blobs
        assert numbers.unused_after_bytes == 0
        assert numbers.packs_used + numbers.packs_partly_used + numbers.packs_unused == len(repository.index.packs())
        assert numbers.packs_keep + len(plan.repack) + len(plan.remove) == len(repository.index.packs())
        assert plan.empty is (gone == 0)


def test_a_second_copy_is_counted_as_such(repository: Repository, tmp_path: Path, where: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(random.Random(1).randbytes(10_000))
    save(where, tmp_path / "tree", 1)
    repository.load_index()
    (blob,) = (b for _, b in repository.index.blobs() if b.type is BlobType.DATA)
    data = repository.load_blob(BlobType.DATA, blob.id)
    repository.index.__init__()  # type: ignore[misc]
    saver = repository.saver()
    saver.save(BlobType.DATA, data)
    saver.finish()
    repository.load_index()
    plan = plan_prune(repository, PruneOptions(max_unused=MaxUnused(0.0)))
    assert plan.numbers.duplicate == Count(1, blob.length)
    assert len(plan.remove) == 1
    assert plan.duplicates == [(BlobType.DATA, blob.id)]
    assert plan.numbers.freed_bytes == blob.length


def test_totals() -> None:
    numbers = Numbers(
        used=Count(3, 30),
        duplicate=Count(1, 5),
        unused=Count(2, 20),
        remove=Count(1, 12),
        repack_remove=Count(2, 13),
        unnamed_bytes=7,
    )
    assert (numbers.total_bytes, numbers.freed_bytes, numbers.unused_after_bytes) == (62, 32, 0)
