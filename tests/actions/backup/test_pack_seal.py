"""A pack judged by its own codes: whole however it is cut, and any flipped byte, any missing or added one is found."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.blobs import Blob, BlobType
from actions.backup.crypto import Key
from actions.backup.ids import id_of
from actions.backup.pack import PackBuilder, read_header
from actions.backup.pack_seal import SMALL, SealedPack, worth_while

KEY = Key.random()


def pack(sizes: list[int]) -> bytes:
    dice = random.Random(str(sizes))
    builder = PackBuilder(BlobType.DATA)
    for size in sizes:
        data = dice.randbytes(size)
        builder.add(id_of(data), KEY.seal(data), 0)
    return b"".join(builder.finish(KEY)[1])


def holds(data: bytes, cuts: list[int], whole: bytes | None = None) -> bool:
    """Whether `data` is what was written, given in pieces; header and size are those of `whole`."""
    whole = whole or data
    seal = SealedPack(read_header(lambda at, count: whole[at : at + count], len(whole), KEY), len(whole), KEY)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in pairwise(edges):
        seal.update(data[begin:end])
    return seal.holds()


SIZES = st.lists(st.integers(0, 300), min_size=1, max_size=5)
CUTS = st.lists(st.integers(0, 5000), max_size=12)


@given(SIZES, CUTS)
def test_what_was_written_holds_however_it_is_cut(sizes: list[int], cuts: list[int]) -> None:
    assert holds(pack(sizes), cuts)


@given(SIZES, CUTS)
def test_too_little_and_too_much_do_not(sizes: list[int], cuts: list[int]) -> None:
    whole = pack(sizes)
    assert not holds(whole[:-1], cuts, whole)
    assert not holds(whole + b"\0", cuts, whole)
    assert not holds(b"", cuts, whole)


def test_every_flipped_bit_is_found() -> None:
    whole = pack([40, 0, 1, 90])
    for at in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[at] ^= 1 << bit
            assert not holds(bytes(flipped), [at, 7, 200], whole), (at, bit)


@pytest.mark.parametrize(("blobs", "size", "sooner"), [(16, 16 << 20, True), (3000, 16 << 20, False), (1, SMALL, True)])
def test_packs_of_many_small_blobs_are_hashed_sooner(blobs: int, size: int, sooner: bool) -> None:
    one = Blob(BlobType.DATA, bytes(32), 0, size // blobs, 0)
    assert worth_while([one] * blobs, size) is sooner
