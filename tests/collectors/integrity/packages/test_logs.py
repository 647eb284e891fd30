"""A run is found in whatever the log was renamed to, as a whole and once."""

import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.integrity.debian import apt_history, dpkg_log
from collectors.integrity.packages import logs as module
from collectors.integrity.packages.logs import Logs
from contracts.provenance import Transaction
from host.linux import LinuxHost

HOUR_MS = 3_600_000


def to_ms(text: str) -> int:
    return int(time.mktime(time.strptime(" ".join(text.split()), "%Y-%m-%d %H:%M:%S")) * 1000)


def apt(text: str) -> list[Transaction]:
    return apt_history(text, to_ms)


def dpkg(text: str) -> list[Transaction]:
    return dpkg_log(text, to_ms)


def run(hour: int) -> str:
    """One run of apt, as it writes it."""
    return f"\nStart-Date: 2026-01-02  {hour:02}:00:00\nInstall: p{hour}:amd64 (1.0)\nEnd-Date: 2026-01-02  {hour:02}:00:09\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "history.log"


@pytest.fixture
def names(log: Path) -> Callable[[int], list[str]]:
    """The packages of the runs since an hour, by one reader that keeps what it read."""
    logs = Logs(LinuxHost())

    def read(hour: int) -> list[str]:
        return [one.packages[0].name for one in logs.runs(str(log), to_ms(f"2026-01-02 {hour:02}:00:00"), apt)]

    return read


def rotated(log: Path, to: str, mtime: int) -> Path:
    """Put a log aside as logrotate does, packed where the name says so; it leaves none, as for apt's."""
    aside = log.with_name(to)
    content = log.read_bytes()
    aside.write_bytes(gzip.compress(content) if to.endswith(".gz") else content)
    os.utime(aside, (mtime, mtime))
    log.unlink()
    return aside


@pytest.mark.parametrize("to", ["history.log.1", "history.log.1.gz", "history.log-20260102", "history.log-20260102.gz"])
def test_a_run_is_found_after_its_log_was_put_aside(log: Path, names: Callable[[int], list[str]], to: str) -> None:
    log.write_text(run(3))
    assert names(1) == ["p3"]
    rotated(log, to, 100)
    assert names(1) == ["p3"], "and no log is there"
    log.write_text(run(5))
    assert names(1) == ["p3", "p5"]


def test_as_many_are_read_as_the_time_asks_for(
    log: Path, names: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in range(1, 7):
        log.write_text(run(hour))
        rotated(log, f"history.log.{7 - hour}.gz", hour)
    log.write_text(run(7))
    assert names(9) == ["p7"]
    assert names(5) == ["p4", "p5", "p6", "p7"]
    assert names(0) == [f"p{hour}" for hour in range(1, 8)]
    monkeypatch.setattr(Logs, "_end", None)
    assert len(names(0)) == 7, "what did not change is not read again"


def test_one_that_is_half_compressed_is_read_from_where_it_still_lies_whole(
    log: Path, names: Callable[[int], list[str]]
) -> None:
    log.write_text(run(3) * 50)
    plain = rotated(log, "history.log.1", 100)
    packed = plain.with_name("history.log.1.gz")
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-20])
    assert len(names(1)) == 50
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    os.utime(packed, (100, 100))
    assert len(names(1)) == 50, "both are there, and count once"
    plain.unlink()
    assert len(names(1)) == 50
    packed.write_bytes(b"")
    assert names(1) == []


def test_other_files_beside_it_are_no_former_logs(log: Path, names: Callable[[int], list[str]]) -> None:
    log.write_text(run(3))
    for name in (
        "history.log.bak",
        "history.log.1.swp",
        "history.log",
        "xhistory.log.1",
        "history.log2",
        "history.log.",
    ):
        if name != log.name:
            log.with_name(name).write_text(run(1))
    assert names(0) == ["p3"]


def test_a_run_that_was_cut_in_two_is_one(tmp_path: Path) -> None:
    log = tmp_path / "dpkg.log"
    log.write_text("2026-01-02 03:00:00 startup archives unpack\n2026-01-02 03:00:01 upgrade a:amd64 1 2\n")
    rotated(log, "dpkg.log.1", 100)
    log.write_text("2026-01-02 03:00:02 upgrade b:amd64 1 2\n2026-01-02 03:00:03 status installed b:amd64 2\n")
    (one,) = Logs(LinuxHost()).runs(str(log), 1, dpkg)
    assert [each.name for each in one.packages] == ["a", "b"] and one.ended_ms - one.started_ms == 3000


def test_a_long_log_is_read_further_back_when_the_time_asks_for_it(
    log: Path, names: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TAIL", 2 * len(run(1)))
    log.write_text("".join(run(hour) for hour in range(1, 9)))
    assert names(8) == ["p7", "p8"]
    assert names(2) == [f"p{hour}" for hour in range(1, 9)]
