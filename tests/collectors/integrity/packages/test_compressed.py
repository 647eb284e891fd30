"""Streams are unpacked by what their names say."""

import bz2
import gzip
import io
import lzma

import pytest
import zstandard

from collectors.integrity.packages.compressed import BROKEN, opened
from contracts.errors import Unavailable

TEXT = b"some text\n" * 1000


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("a.gz", gzip.compress(TEXT)),
        ("a.xz", lzma.compress(TEXT)),
        ("a.bz2", bz2.compress(TEXT)),
        ("a.zst", zstandard.compress(TEXT)),
        ("Packages", TEXT),
    ],
)
def test_each_way_gives_the_same_text(name: str, packed: bytes) -> None:
    assert opened(io.BytesIO(packed), name).read() == TEXT


@pytest.mark.parametrize("name", ["a.gz", "a.xz", "a.bz2", "a.zst"])
def test_what_is_damaged_raises_one_of_the_known(name: str) -> None:
    with pytest.raises(BROKEN):
        opened(io.BytesIO(b"\xfd7zXZ\x00" + b"damaged" * 9), name).read()


def test_what_only_apt_unpacks_is_said() -> None:
    with pytest.raises(Unavailable):
        opened(io.BytesIO(b""), "a.lz4")
