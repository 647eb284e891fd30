"""Unpacked files: both encodings, and whatever is not what was written refused with its name."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions.backup.crypto import Key
from actions.backup.errors import Damaged
from actions.backup.files import Files
from actions.backup.ids import id_of
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle

KEY = Key.random()


@pytest.fixture
def files(where: Path, version: int) -> Files:
    store = LocalStore(where)
    store.create()
    return Files(store, KEY, version)


@settings(suppress_health_check=list(HealthCheck), max_examples=20)
@given(st.binary(max_size=200))
def test_round_trip(files: Files, tail: bytes) -> None:
    document = b"{" + tail
    name = files.save(FileType.INDEX, document)
    assert files.load(FileType.INDEX, name) == document
    assert name in set(files.names(FileType.INDEX))


def test_version_two_compresses(where: Path) -> None:
    store = LocalStore(where)
    store.create()
    sizes = [
        store.stat(Handle(FileType.INDEX, Files(store, KEY, version).save(FileType.INDEX, b"{" + b" " * 10_000)))
        for version in (1, 2)
    ]
    assert sizes[0] > 10_000
    assert sizes[1] < 200


@pytest.mark.parametrize("plain", [b"", b"\x03{}", b"\x02not a frame", b"text"])
def test_an_unknown_encoding_is_damage(files: Files, plain: bytes) -> None:
    sealed = bytes(KEY.seal(plain))
    name = id_of(sealed).hex()
    files.store.save(Handle(FileType.SNAPSHOT, name), [sealed])
    with pytest.raises(Damaged) as caught:
        files.load(FileType.SNAPSHOT, name)
    assert caught.value.where == f"snapshot/{name}"


def test_a_file_under_a_wrong_name_is_damage(files: Files) -> None:
    sealed = bytes(KEY.seal(b"{}"))
    files.store.save(Handle(FileType.SNAPSHOT, "0" * 64), [sealed])
    with pytest.raises(Damaged) as caught:
        files.load(FileType.SNAPSHOT, "0" * 64)
    assert "SHA-256" in caught.value.what
