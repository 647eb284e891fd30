"""The chunker: pieces within their limits that make up the whole, stable where the content is, different for each repository."""

import io
import random
import tracemalloc
from pathlib import Path

import pytest

from actions.backup.chunker import MAX_SIZE, MIN_SIZE, Chunker
from actions.backup.polynomial import random_irreducible

DATA = random.Random(3).randbytes(24 << 20)


def cut(data: bytes, polynomial: int = 0x3DA3358B4DC173) -> list[bytes]:
    return [bytes(piece) for piece in Chunker(polynomial).chunks(io.BytesIO(data))]


def test_the_pieces_are_the_whole_and_within_their_limits() -> None:
    pieces = cut(DATA)
    assert b"".join(pieces) == DATA
    assert all(MIN_SIZE <= len(piece) <= MAX_SIZE for piece in pieces[:-1])
    assert 8 <= len(pieces) <= 40


@pytest.mark.parametrize("size", [0, 1, MIN_SIZE - 1, MIN_SIZE, MIN_SIZE + 1])
def test_small_streams(size: int) -> None:
    assert b"".join(cut(DATA[:size])) == DATA[:size]


def test_zeros_are_cut_at_the_greatest_size() -> None:
    assert [len(piece) for piece in cut(bytes(20 << 20))] == [MAX_SIZE, MAX_SIZE, 4 << 20]


def test_an_insertion_changes_few_pieces() -> None:
    before = cut(DATA)
    after = cut(DATA[:5_000_000] + b"inserted" + DATA[5_000_000:])
    assert len(set(after) - set(before)) <= 3


def test_each_repository_cuts_elsewhere() -> None:
    lengths = {tuple(map(len, cut(DATA, random_irreducible()))) for _ in range(4)}
    assert len(lengths) == 4
    assert list(map(len, cut(DATA))) == list(map(len, cut(DATA)))


def test_a_chunker_is_used_again_after_an_error() -> None:
    class Broken(io.RawIOBase):
        def readinto(self, buffer: object) -> int:
            raise OSError(5, "Input/output error")

    chunker = Chunker(0x3DA3358B4DC173)
    with pytest.raises(OSError):
        list(chunker.chunks(Broken()))
    assert b"".join(chunker.chunks(io.BytesIO(DATA))) == DATA


def test_a_piece_that_is_held_keeps_its_content_while_others_come(tmp_path: Path) -> None:
    """Memory is used again, but not what somebody looks into; and the cuts are those of the library's own stream."""
    (tmp_path / "file").write_bytes(DATA)
    chunker = Chunker(0x3DA3358B4DC173)
    for _ in range(2):
        with (tmp_path / "file").open("rb", buffering=0) as file:
            held = list(chunker.chunks(file))
        assert b"".join(held) == DATA
        assert [len(piece) for piece in held] == [piece.length for piece in chunker._cdc.cut_stream(io.BytesIO(DATA))]


def test_memory_of_pieces_that_nobody_holds_is_used_again() -> None:
    chunker = Chunker(0x3DA3358B4DC173)
    tracemalloc.start()
    try:
        assert sum(len(piece) for piece in chunker.chunks(io.BytesIO(DATA * 4))) == 4 * len(DATA)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(DATA) + (16 << 20)
