"""Packs: their headers there and back, and every lie in them refused."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.blobs import Blob, BlobType
from actions.backup.crypto import OVERHEAD, Key
from actions.backup.ids import id_of
from actions.backup.pack import BadPack, PackBuilder, decode_header, encode_header, read_header

KEY = Key.random()
entries = st.lists(
    st.tuples(
        st.sampled_from(BlobType),
        st.binary(min_size=32, max_size=32),
        st.integers(OVERHEAD, (1 << 32) - 1),
        st.integers(0, (1 << 32) - 1),
    ),
    max_size=20,
)


def chained(found: list[tuple[BlobType, bytes, int, int]]) -> list[Blob]:
    blobs, offset = [], 0
    for type, id, length, uncompressed in found:
        blobs.append(Blob(type, id, offset, length, uncompressed))
        offset += length
    return blobs


@given(entries)
def test_headers_round_trip(found: list[tuple[BlobType, bytes, int, int]]) -> None:
    blobs = chained(found)
    header = encode_header(blobs)
    assert len(header) == sum(41 if blob.uncompressed_length else 37 for blob in blobs)
    assert decode_header(header) == blobs


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_refused(header: bytes) -> None:
    try:
        blobs = decode_header(header)
    except BadPack:
        return
    assert encode_header(blobs) == header


def a_pack(count: int) -> tuple[bytes, bytes, list[Blob]]:
    builder = PackBuilder(BlobType.DATA)
    for number in range(count):
        data = os.urandom(number + 1)
        builder.add(id_of(data), KEY.seal(data), number % 2 * (number + 1))
    id, parts = builder.finish(KEY)
    return id, b"".join(parts), builder.blobs


@pytest.mark.parametrize("count", [1, 2, 14, 15, 16, 17, 300])
def test_a_pack_lists_its_blobs(count: int) -> None:
    id, data, blobs = a_pack(count)
    reads: list[int] = []

    def load(offset: int, length: int) -> bytes:
        reads.append(length)
        return data[offset : offset + length]

    assert id_of(data) == id
    assert read_header(load, len(data), KEY) == blobs
    assert len(reads) <= 2
    for blob in blobs:
        assert id_of(KEY.open(data[blob.offset : blob.offset + blob.length])) == blob.id


def test_a_header_that_does_not_account_for_every_byte_is_refused() -> None:
    _, data, _ = a_pack(5)
    for changed in (
        data[1:],
        b"x" + data,
        data[:-1],
        data[:10],
        b"",
        data[:-4] + b"\xff\xff\xff\xff",
        data[:-4] + bytes(4),
        data + data[:3],
    ):
        with pytest.raises(BadPack):
            read_header(lambda offset, length, d=changed: d[offset : offset + length], len(changed), KEY)


def test_another_key_does_not_read_it() -> None:
    _, data, _ = a_pack(2)
    with pytest.raises(BadPack):
        read_header(lambda offset, length: data[offset : offset + length], len(data), Key.random())


def test_a_builder_is_full_at_sixteen_mebibytes() -> None:
    builder = PackBuilder(BlobType.DATA)
    for number in range(16):
        assert not builder.full
        builder.add(bytes([number]) * 32, bytes(1 << 20), 0)
    assert builder.full
