"""A dump from memory is what was made, or the error of its making."""

import pytest

from actions.backup.databases.source import DumpFailed
from actions.backup.databases.text_dump import text_dump


def test_it_is_made_when_it_is_opened() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"hello"

    open = text_dump(make)
    assert made == []
    with open() as reading:
        buffer = bytearray(3)
        assert reading.readinto(memoryview(buffer)) == 3
        assert reading.readinto(memoryview(buffer)) == 2
        assert reading.readinto(memoryview(buffer)) == 0
        assert list(reading.finish()) == []


def test_an_error_passes_through() -> None:
    def make() -> bytes:
        raise DumpFailed("x", "no")

    with pytest.raises(DumpFailed), text_dump(make)():
        pass
