"""Index files: restic's document, there and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.blobs import Blob, BlobType
from actions.backup.index_files import BadIndex, decode_index, encode_index

ids = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, (1 << 32) - 1)
blobs = st.builds(Blob, st.sampled_from(BlobType), ids, numbers, st.integers(32, (1 << 32) - 1), numbers)
packs = st.lists(st.tuples(ids, st.lists(blobs, max_size=4)), max_size=4)


@given(packs, st.lists(ids, max_size=2))
def test_round_trip(found: list[tuple[bytes, list[Blob]]], supersedes: list[bytes]) -> None:
    assert decode_index(encode_index(found, supersedes)) == (found, supersedes)


def test_the_document_is_that_of_restic() -> None:
    document = encode_index(
        [(b"\x01" * 32, [Blob(BlobType.TREE, b"\x02" * 32, 5, 40), Blob(BlobType.DATA, b"\x03" * 32, 45, 50, 99)])]
    )
    assert document.decode() == json.dumps(
        {
            "packs": [
                {
                    "id": "01" * 32,
                    "blobs": [
                        {"id": "02" * 32, "type": "tree", "offset": 5, "length": 40},
                        {"id": "03" * 32, "type": "data", "offset": 45, "length": 50, "uncompressed_length": 99},
                    ],
                }
            ]
        },
        separators=(",", ":"),
    )


GOOD = '{"packs":[{"id":"ZERO","blobs":[{"id":"ONE","type":"data","offset":0,"length":40}]}]}'
GOOD = GOOD.replace("ZERO", "0" * 64).replace("ONE", "1" * 64)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{}",
        "[]",
        "null",
        GOOD[:-2],
        GOOD.replace('"data"', '"door"'),
        GOOD.replace("40", "31"),
        GOOD.replace("40", "-1"),
        GOOD.replace("40", "4294967296"),
        GOOD.replace(":0,", ":-1,"),
        GOOD.replace("1" * 64, "1" * 63),
        GOOD.replace("0" * 64, "G" * 64),
        GOOD.replace('"packs"', '"supersedes":["x"],"packs"'),
    ],
)
def test_other_documents_are_refused(document: str) -> None:
    assert decode_index(GOOD.encode())
    with pytest.raises(BadIndex):
        decode_index(document.encode())
