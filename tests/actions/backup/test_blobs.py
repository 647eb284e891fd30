"""Blobs know how long they are."""

from actions.backup.blobs import Blob, BlobType


def test_the_plain_length_is_told_or_follows_from_the_encryption() -> None:
    assert Blob(BlobType.DATA, bytes(32), 0, 132, 0).plain_length == 100
    assert Blob(BlobType.DATA, bytes(32), 0, 132, 5000).plain_length == 5000


def test_a_blob_is_named_by_its_type_and_id() -> None:
    assert str(Blob(BlobType.TREE, b"\xab" * 32, 0, 132)) == "tree blob " + "ab" * 32
