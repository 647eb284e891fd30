"""The index in memory: every blob found, whatever came before, in little memory."""

import hashlib
import random
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from actions.backup.blobs import Blob, BlobType, Location
from actions.backup.index import Index


def named(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


ids = st.integers(0, 30).map(lambda n: bytes([n % 3]) * 8 + bytes([n]) * 24)
"""Few ids, of which many begin alike: the table must tell them apart."""

blobs = st.builds(Blob, st.sampled_from(BlobType), ids, st.integers(0, 1000), st.integers(32, 1000), st.integers(0, 9))


@given(st.dictionaries(st.integers(0, 50).map(named), st.lists(blobs, max_size=5), max_size=20))
def test_agrees_with_a_plain_dictionary(packs: dict[bytes, list[Blob]]) -> None:
    index = Index()
    model: dict[tuple[BlobType, bytes], list[Location]] = {}
    for pack, held in packs.items():
        assert index.add_pack(pack, held)
        assert not index.add_pack(pack, held)
        for blob in held:
            model.setdefault((blob.type, blob.id), []).append(Location(pack, *blob[2:]))
    for type in BlobType:
        for number in range(31):
            id = bytes([number % 3]) * 8 + bytes([number]) * 24
            assert index.find(type, id) == model.get((type, id), [])
            assert index.has(type, id) == ((type, id) in model)
    assert sorted(index.packs()) == sorted(packs)
    assert sorted(index.blobs()) == sorted((pack, blob) for pack, held in packs.items() for blob in held)
    assert len(index) == sum(map(len, packs.values()))


def test_a_hundred_thousand_are_all_found_and_no_others() -> None:
    index = Index()
    for pack in range(1000):
        index.add_pack(
            named(-pack - 1), [Blob(BlobType.DATA, named(pack * 100 + n), n * 50, 50, n) for n in range(100)]
        )
    dice = random.Random(1)
    for number in (dice.randrange(100_000) for _ in range(5000)):
        (place,) = index.find(BlobType.DATA, named(number))
        assert place == (named(-(number // 100) - 1), number % 100 * 50, 50, number % 100)
        assert not index.has(BlobType.TREE, named(number))
        assert not index.has(BlobType.DATA, named(number + 100_000))
    assert index.plain_length(BlobType.DATA, named(100_000)) is None


def test_half_a_million_blobs_cost_less_than_sixty_megabytes() -> None:
    code = """
import os
from pathlib import Path
from actions.backup.blobs import Blob, BlobType
from actions.backup.index import Index
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = peak()
index = Index()
for pack in range(5000):
    index.add_pack(os.urandom(32), [Blob(BlobType.DATA, os.urandom(32), n, 50, 0) for n in range(100)])
assert len(index) == 500_000
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60_000


def test_entries_are_numbered_and_given_pack_by_pack() -> None:
    dice = random.Random(7)
    index = Index()
    made = {}
    for number in range(50):
        blobs = [
            Blob(BlobType(dice.randrange(2)), dice.randbytes(32), 100 * place, 50 + place, dice.choice([0, 70]))
            for place in range(dice.randrange(5))
        ]
        made[bytes([number]) * 32] = blobs
        index.add_pack(bytes([number]) * 32, blobs)
    twice = next(blobs[0] for blobs in made.values() if blobs)
    made[b"\xff" * 32] = [twice]
    index.add_pack(b"\xff" * 32, [twice])
    assert {pack: sorted(blobs) for pack, blobs in index.by_pack()} == {p: sorted(b) for p, b in made.items()}
    assert [pack for pack, _ in index.by_pack()] == index.packs()
    assert index.count(BlobType.DATA) + index.count(BlobType.TREE) == len(index)
    for type in BlobType:
        numbered = list(index.numbered(type))
        assert len(numbered) == index.count(type)
        for number, (pack, blob) in enumerate(numbered):
            assert number in index.numbers(type, blob.id)
            assert blob in made[index.packs()[pack]]
    first, second = index.numbers(twice.type, twice.id)
    assert first < second
    assert index.numbers(BlobType.DATA, bytes(32)) == []


def test_a_file_that_names_less_of_a_pack_hides_nothing() -> None:
    """Whoever holds the key and may add could otherwise make blobs disappear by naming their packs without them."""
    dice = random.Random(8)
    blobs = [Blob(BlobType(n % 2), dice.randbytes(32), 100 * n, 100) for n in range(6)]
    others = [Blob(BlobType.DATA, dice.randbytes(32), 100 * n, 100) for n in range(3)]
    index = Index()
    assert index.add_pack(b"p" * 32, blobs[:2])
    assert index.add_pack(b"q" * 32, others)
    assert not index.add_pack(b"p" * 32, [])
    assert not index.add_pack(b"p" * 32, blobs)
    assert not index.add_pack(b"p" * 32, blobs)
    assert len(index) == 9
    assert all(index.has(blob.type, blob.id) for blob in blobs)
    assert {pack: sorted(found) for pack, found in index.by_pack()} == {
        b"p" * 32: sorted(blobs),
        b"q" * 32: sorted(others),
    }
    shifted = blobs[3]._replace(offset=7)
    index.add_pack(b"p" * 32, [shifted])
    assert [place.offset for place in index.find(shifted.type, shifted.id)] == [300, 7]


def test_the_end_of_each_pack_is_that_of_its_last_blob() -> None:
    index = Index()
    index.add_pack(named(1), [Blob(BlobType.DATA, named(7), 0, 100, 0), Blob(BlobType.DATA, named(8), 100, 50, 0)])
    index.add_pack(named(2), [Blob(BlobType.TREE, named(9), 40, 60, 0)])
    index.add_pack(named(3), [])
    assert dict(zip(index.packs(), index.ends(), strict=True)) == {named(1): 150, named(2): 100, named(3): 0}
