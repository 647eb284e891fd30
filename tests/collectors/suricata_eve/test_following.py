"""Files that grow, rotate, and are emptied; whole lines only, none twice."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.suricata_eve.following import LONGEST_LINE, begin, follow
from contracts.errors import Unavailable
from contracts.subjects.suricata_eve import Place
from host.files import LinuxFiles

FILES = LinuxFiles()
MOST = 1 << 20


def lines(*numbers: int) -> bytes:
    return b"".join(b'{"line": %d}\n' % number for number in numbers)


class Reader:
    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.place = begin(FILES, self.path, at_end=False)
        self.lost = ""

    def read(self, most: int = MOST) -> list[int]:
        found = follow(FILES, self.path, self.place, most)
        self.place, self.lost = found.place, found.lost
        return [int(line[9:-1]) for line in found.lines]


def test_new_lines_are_read_once_and_half_a_line_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(1, 2) + b'{"line"')
    reader = Reader(path)
    assert reader.read() == [1, 2] and reader.place.behind == 7
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b": 3}\n")
    assert reader.read() == [3] and reader.read() == [] and reader.place.behind == 0


def test_a_first_look_at_the_end_begins_with_the_line_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(1, 2) + b'{"line": 3')
    place = begin(FILES, str(path), at_end=True)
    with path.open("ab") as file:
        file.write(b"}\n")
    assert follow(FILES, str(path), place, MOST).lines == [b'{"line": 3}']


def test_a_renamed_file_is_read_to_its_end_also_while_its_writer_still_writes_there(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(1))
    reader = Reader(path)
    assert reader.read() == [1]
    with path.open("ab") as writer:
        path.rename(tmp_path / "eve.json.1")
        writer.write(lines(2))
        writer.flush()
        assert reader.read() == [2], "nothing stands in its place yet"
        path.write_bytes(b"")
        writer.write(lines(3))
        writer.flush()
        assert reader.read() == [3], "the new one is empty: the writer has not moved"
    path.write_bytes(lines(4))
    assert [*reader.read(), *reader.read()] == [4] and not reader.lost


def test_two_rotations_between_two_looks_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(1))
    reader = Reader(path)
    reader.read()
    with path.open("ab") as writer:
        writer.write(lines(2))
    path.rename(tmp_path / "eve.json.2")
    path.write_bytes(lines(3))
    path.rename(tmp_path / "eve.json.1")
    path.write_bytes(lines(4))
    found = [number for _ in range(4) for number in reader.read()]
    assert found == [2, 3, 4] and not reader.lost


def test_a_copied_and_emptied_file_is_read_from_its_copy_and_then_anew(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(1))
    reader = Reader(path)
    reader.read()
    with path.open("ab") as writer:
        writer.write(lines(2))
    shutil.copy(path, tmp_path / "eve.json.1")
    path.write_bytes(lines(30))
    assert [number for _ in range(3) for number in reader.read()] == [2, 30] and not reader.lost


def test_an_emptied_file_without_a_copy_is_read_anew_and_the_loss_is_told(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(1, 2, 3))
    reader = Reader(path)
    reader.read()
    path.write_bytes(lines(70, 80, 90, 100))
    assert reader.read() == [70, 80, 90, 100] and "emptied" in reader.lost, (
        "also when it has grown beyond the old place"
    )
    assert reader.read() == [] and not reader.lost


def test_a_backlog_is_read_in_parts_and_a_line_without_end_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    path.write_bytes(lines(*range(100, 200)))
    reader = Reader(path)
    found: list[int] = []
    while part := reader.read(300):
        found += part
    assert found == list(range(100, 200))
    with path.open("ab") as writer:
        writer.write(b"x" * (LONGEST_LINE + 10) + b"\n" + lines(7))
    assert reader.read(LONGEST_LINE) == []
    rest = follow(FILES, str(path), reader.place, LONGEST_LINE)
    assert rest.lines[-1] == b'{"line": 7}'


def test_a_file_that_is_gone_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        follow(FILES, str(tmp_path / "eve.json"), Place(inode=1, device=1, offset=0), MOST)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["write", "half", "rename", "copy", "look"]), max_size=25))
def test_whatever_happens_to_the_file_every_line_is_read_once_and_in_order(deeds: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "eve.json"
        path.write_bytes(b"")
        reader, written, rotated, half, found = Reader(path), 0, 0, False, []
        for deed in [*deeds, "write", "look", "look", "look"]:
            if deed in ("write", "half"):
                with path.open("ab") as writer:
                    text = b'{"line": %d}\n' % (1000 + written)
                    writer.write(text[4:] if half else text[:4] if deed == "half" else text)
                if half or deed == "write":
                    written += 1
                half = deed == "half" and not half
            elif deed == "look":
                found += reader.read(40)
            elif not half and path.stat().st_size:
                # Rotated after everything was read: a copy may not be found again once two have the same beginning.
                for _ in range(written + 3):
                    found += reader.read(1 << 16)
                rotated += 1
                if deed == "rename":
                    path.rename(f"{path}.{rotated}")
                    path.write_bytes(b"")
                else:
                    shutil.copy(path, f"{path}.{rotated}")
                    path.write_bytes(b"")
        if half:
            with path.open("ab") as writer:
                writer.write((b'{"line": %d}\n' % (1000 + written))[4:])
            written += 1
        for _ in range(written + 5):
            found += reader.read(1 << 16)
        assert found == [1000 + number for number in range(written)]
