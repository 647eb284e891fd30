"""Writing sparsely: a file reads as what was given, and steps of zeros take no room."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from actions.backup.sparse import STEP, write_sparsely

PIECES = st.lists(
    st.sampled_from([bytes(STEP), b"x" * STEP, bytes(STEP - 1) + b"x", b"", bytes(100), b"y" * 7]), max_size=6
)


@given(PIECES, st.sampled_from([0, 1, STEP, 3 * STEP + 5]))
def test_what_is_written_reads_the_same(pieces: list[bytes], position: int) -> None:
    data = b"".join(pieces)
    descriptor = os.memfd_create("sparse")
    try:
        write_sparsely(descriptor, data, position)
        os.ftruncate(descriptor, position + len(data))
        assert os.pread(descriptor, position + len(data), 0) == bytes(position) + data
    finally:
        os.close(descriptor)


def test_zeros_are_holes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = b"x" * STEP + bytes(8 * STEP) + b"x" * STEP + bytes(STEP + 17)
    with path.open("wb") as file:
        write_sparsely(file.fileno(), data, 0)
        os.ftruncate(file.fileno(), len(data))
    assert path.read_bytes() == data
    assert path.stat().st_blocks * 512 <= 3 * STEP
