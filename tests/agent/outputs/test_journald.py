"""Events reach a journal's socket in its native protocol, however large, and its absence is survived."""

import array
import os
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.outputs.journald import MAX_VALUE, Journal, encode
from agent.outputs.rendering import Rendering
from contracts.event import Envelope, Severity

Make = Callable[..., Envelope]


class FakeJournal:
    """The journal's end of the socket, decoding as its protocol says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(30)

    def entry(self) -> dict[str, list[str]]:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, 1024)
        if ancillary:
            descriptor = array.array("i", ancillary[0][2])[0]
            assert os.readlink(f"/proc/self/fd/{descriptor}").startswith("/memfd:")
            data = os.pread(descriptor, 1 << 22, 0)
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, 0)
            os.close(descriptor)
        return decode(data)


def decode(data: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, data = rest[8 : 8 + length], rest[8 + length + 1 :]
        else:
            data = rest
        found.setdefault(name.decode(), []).append(value.decode())
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FakeJournal]:
    fake = FakeJournal(tmp_path / "socket")
    yield fake
    fake.socket.close()


def test_an_event_arrives_with_its_fields(journal: FakeJournal, rendering: Rendering, envelope: Make) -> None:
    output = Journal(rendering.text, path=journal.path)
    output.write(envelope(7, names=["a", "b"], public=True))
    entry = journal.entry()
    assert entry["MESSAGE"] == ["sshd listens on 22"]
    assert entry["PRIORITY"] == ["4"]
    assert entry["HOLDFAST_KIND"] == ["ports.listener_opened"]
    assert entry["HOLDFAST_SEQ"] == ["7"]
    assert entry["HOLDFAST_FIELD_NAMES"] == ["a", "b"]
    assert entry["HOLDFAST_FIELD_PUBLIC"] == ["true"]
    assert output.state().written == 1


def test_a_value_cannot_forge_a_field(journal: FakeJournal, rendering: Rendering, envelope: Make) -> None:
    Journal(rendering.text, path=journal.path).write(envelope(1, process="x\nPRIORITY=0\nHOLDFAST_KIND=fake"))
    entry = journal.entry()
    assert entry["PRIORITY"] == ["4"]
    assert entry["HOLDFAST_KIND"] == ["ports.listener_opened"]
    assert entry["HOLDFAST_FIELD_PROCESS"] == ["x\nPRIORITY=0\nHOLDFAST_KIND=fake"]


def test_a_large_event_goes_as_a_sealed_memory_file(journal: FakeJournal, rendering: Rendering, envelope: Make) -> None:
    output = Journal(rendering.text, path=journal.path)
    output.write(envelope(1, evidence={f"part {n}": "e" * 200_000 for n in range(5)}))
    entry = journal.entry()
    assert entry["HOLDFAST_EVIDENCE_PART_4"] == ["e" * 200_000]
    assert output.state().problem == ""


def test_less_severe_events_stay_out(journal: FakeJournal, rendering: Rendering, envelope: Make) -> None:
    output = Journal(rendering.text, least=Severity.HIGH, path=journal.path)
    output.write(envelope(1))
    output.write(envelope(2, severity=Severity.HIGH))
    assert journal.entry()["HOLDFAST_SEQ"] == ["2"]


def test_an_absent_journal_is_counted_and_overcome(tmp_path: Path, rendering: Rendering, envelope: Make) -> None:
    output = Journal(rendering.text, path=tmp_path / "socket")
    output.write(envelope(1))
    assert (output.state().written, output.state().lost) == (0, 1)
    assert "no such file or directory" in output.state().problem
    fake = FakeJournal(tmp_path / "socket")
    output.write(envelope(2))
    assert fake.entry()["HOLDFAST_SEQ"] == ["2"]
    assert output.state().problem == ""


def test_a_journal_that_does_not_read_never_blocks(journal: FakeJournal, rendering: Rendering, envelope: Make) -> None:
    output = Journal(rendering.text, path=journal.path)
    for seq in range(3000):
        output.write(envelope(seq))
    assert output.state().lost > 0


def test_long_values_are_cut_and_odd_text_passes() -> None:
    assert len(encode("A", "x" * (MAX_VALUE + 10))) == MAX_VALUE + 3
    assert encode("A", "\udcff") == b"A=\\udcff\n"
