"""When everything is restored as proof: monthly, caught up, put off while others wait, refused without room, judged by declared targets."""

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actions.backup.archiver import Archiver, Choices
from actions.backup.full_step import FullRecord, full_step, load_records, missed, note, taken_over
from actions.backup.memory import Memory
from actions.backup.options import FullProofOptions, PressureOptions
from actions.backup.repository import Repository
from contracts.errors import Unavailable, UsageError
from contracts.event import Event
from host.linux import LinuxHost
from tests.actions.backup.conftest import PASSWORD

REAL: Any = LinuxHost()
CALM = b"some avg10=0.00 avg60=0 avg300=0 total=0\n"
BUSY = b"some avg10=99.00 avg60=0 avg300=0 total=0\n"
DAY_NS = 86400 * 1_000_000_000
RECORD = FullRecord(5, ["ab" * 32], 1, 2, 3.0, 0.0, 4.0, 5.0, 0, 0, [])


class Files:
    """The real files, with a pressure of our own."""

    def __init__(self) -> None:
        self.pressure = CALM

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        return self.pressure if path.startswith("/proc/pressure") else bytes(REAL.files.read(path, max_bytes))


@pytest.fixture
def made(repository: Repository, tmp_path: Path) -> str:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(os.urandom(100_000))
    (tmp_path / "scratch").mkdir()
    repository.load_index()
    return Archiver(repository).snapshot([str(tmp_path / "source")], hostname="here", tags=["etc"])[0]


def run(
    repository: Repository, tmp_path: Path, memory: Memory, *, files: Any = None, asked: bool = False, **options: Any
) -> list[Event]:
    place = str(tmp_path / "scratch")
    given = FullProofOptions(**{"reserve": 0, **options})
    host: Any = SimpleNamespace(files=files or Files())
    return list(
        full_step(
            "etc",
            given,
            lambda: Repository.open(repository.store, PASSWORD),
            memory,
            host,
            hostname="here",
            scratch=place,
            pressure=PressureOptions(pause_at_most=0.01),
            choices=Choices,
            asked=asked,
            tell=lambda _: None,
        )
    )


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def test_it_is_done_monthly_and_when_somebody_asks(repository: Repository, made: str, tmp_path: Path) -> None:
    memory = Memory()
    (event,) = run(repository, tmp_path, memory)
    assert event.kind == "backup.fully_proved"
    assert (event.fields["files"], event.fields["bytes"], event.fields["snapshots"]) == (1, 100_000, [made])
    assert run(repository, tmp_path, memory) == []
    assert kinds(run(repository, tmp_path, memory, asked=True)) == ["backup.fully_proved"]
    memory.full_ns -= 31 * DAY_NS
    assert kinds(run(repository, tmp_path, memory)) == ["backup.fully_proved"], "what is overdue is caught up"
    assert run(repository, tmp_path, Memory(), enabled=False) == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_while_others_wait_for_the_disks_it_is_put_off_but_not_for_ever(
    repository: Repository, made: str, tmp_path: Path
) -> None:
    memory, files = Memory(), Files()
    files.pressure = BUSY
    (event,) = run(repository, tmp_path, memory, files=files)
    assert (event.kind, "disks" in str(event.fields["detail"])) == ("backup.full_proof_postponed", True)
    assert memory.full_ns == 0, "so the next run tries again"
    first = memory.full_postponed_ns
    memory = msgspec.json.decode(msgspec.json.encode(memory), type=Memory)
    run(repository, tmp_path, memory, files=files)
    assert memory.full_postponed_ns == first, "the wait is counted from the first time on, across restarts"
    memory.full_postponed_ns -= 8 * DAY_NS
    assert kinds(run(repository, tmp_path, memory, files=files)) == ["backup.fully_proved"], "it has waited for a week"
    assert memory.full_postponed_ns == 0
    memory.full_ns = 0
    files.pressure = BUSY
    assert kinds(run(repository, tmp_path, memory, files=files, asked=True)) == ["backup.fully_proved"]


def test_without_room_it_is_refused_and_says_what_is_needed(repository: Repository, made: str, tmp_path: Path) -> None:
    memory = Memory()
    (event,) = run(repository, tmp_path, memory, reserve=1 << 60)
    assert event.kind == "backup.full_proof_postponed"
    assert event.fields["needed_bytes"] > 100_000  # type: ignore[operator]
    assert "make room" in str(event.fields["detail"])
    assert memory.full_ns == 0


def test_damage_fails_it_by_name(repository: Repository, made: str, tmp_path: Path, where: Path) -> None:
    for pack in (where / "data").rglob("*"):
        if pack.is_file() and pack.stat().st_size > 50_000:
            pack.chmod(0o600)
            content = bytearray(pack.read_bytes())
            content[1000] ^= 1
            pack.write_bytes(content)
    (event,) = run(repository, tmp_path, Memory())
    assert (event.kind, event.fields["problems"]) == ("backup.full_proof_failed", 1)
    assert f"{tmp_path}/source/file" in str(event.fields["paths"])


def test_one_that_takes_too_long_has_failed(repository: Repository, made: str, tmp_path: Path) -> None:
    memory = Memory()
    events = run(repository, tmp_path, memory, time_limit=1e-9)
    assert kinds(events) == ["backup.full_proof_failed"]
    assert "not done after" in str(events[0].fields["detail"])
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_killed_one_leaves_nothing_for_long(repository: Repository, made: str, tmp_path: Path) -> None:
    left = tmp_path / "scratch" / "holdfast-full-abc"
    left.mkdir(mode=0o700)
    (left / "shadow").write_text("secret")
    memory = Memory(full_ns=time.time_ns())
    assert run(repository, tmp_path, memory) == []
    assert not left.exists()


def test_declared_targets_are_measured_against(repository: Repository, made: str, tmp_path: Path) -> None:
    proved, late = run(repository, tmp_path, Memory(), rto=1e-6)
    assert (proved.kind, late.fields["target"], late.fields["declared_s"]) == ("backup.fully_proved", "RTO", 1e-6)
    targets = FullProofOptions(rto=10.0, rpo=4.5)
    assert [name for name, _, _ in missed(RECORD, targets)] == ["RPO"], "the longest gap counts"
    assert list(missed(RECORD, FullProofOptions(rto=3.0, rpo=5.0))) == []
    assert list(missed(RECORD, FullProofOptions())) == [], "nothing declared"


def test_what_root_proved_is_taken_over_once(tmp_path: Path) -> None:
    path = tmp_path / "full-proofs.json"
    memory = Memory()
    assert list(taken_over("etc", FullProofOptions(), memory, REAL.files, str(path), "repo")) == []
    note(REAL.files, str(path), "other/etc", RECORD)
    note(REAL.files, str(path), "repo/etc", msgspec.structs.replace(RECORD, at_ns=time.time_ns()))
    assert set(load_records(REAL.files, str(path))) == {"other/etc", "repo/etc"}
    assert path.stat().st_mode & 0o777 == 0o600
    (event,) = taken_over("etc", FullProofOptions(), memory, REAL.files, str(path), "repo")
    assert (event.kind, event.fields["privileged"], event.fields["not_proved"]) == ("backup.fully_proved", True, "")
    assert list(taken_over("etc", FullProofOptions(), memory, REAL.files, str(path), "repo")) == []


def test_a_note_that_others_may_write_or_from_the_future_counts_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "full-proofs.json"
    note(REAL.files, str(path), "repo/etc", msgspec.structs.replace(RECORD, at_ns=time.time_ns() + DAY_NS))
    assert list(taken_over("etc", FullProofOptions(), Memory(), REAL.files, str(path), "repo")) == []
    path.chmod(0o666)
    with pytest.raises(Unavailable, match="others than root"):
        load_records(REAL.files, str(path))
    os.chown(path, 1000, 1000)
    path.chmod(0o600)
    with pytest.raises(Unavailable, match="others than root"):
        load_records(REAL.files, str(path))
    os.chown(path, 0, 0)
    path.write_text("{")
    with pytest.raises(Unavailable, match="prove again"):
        load_records(REAL.files, str(path))
    with pytest.raises(UsageError):
        note(REAL.files, str(tmp_path / "nowhere" / "x"), "repo/etc", RECORD)


def test_a_scratch_that_cannot_be_written_is_said(repository: Repository, made: str, tmp_path: Path) -> None:
    (tmp_path / "scratch").rmdir()
    with pytest.raises(Unavailable, match="no directory that can be written"):
        run(repository, tmp_path, Memory())
