"""Reading is bounded, and each failure has its reason."""

import os
from pathlib import Path

import pytest

from contracts.errors import Unavailable, Why
from host.files import LinuxFiles


def why(path: str, **options: int) -> Why:
    with pytest.raises(Unavailable) as caught:
        LinuxFiles().read(path, **options)
    assert caught.value.advice
    return caught.value.why


def test_content_and_its_length_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    counted: list[int] = []
    assert len(LinuxFiles(counted.append).read(str(tmp_path / "a"), 3_000_000)) == 3_000_000
    assert counted == [3_000_000]


def test_the_end_of_a_file_is_read_and_how_much_is_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    counted: list[int] = []
    files = LinuxFiles(counted.append)
    assert [files.end(str(path), length) for length in (3, 10, 99, 0)] == [
        (7, b"789"),
        (0, b"0123456789"),
        (0, b"0123456789"),
        (10, b""),
    ]
    assert counted == [3, 10, 10, 0]
    for wrong, reason in ((tmp_path / "none", Why.NOT_PRESENT), (tmp_path, Why.OTHER)):
        with pytest.raises(Unavailable) as caught:
            files.end(str(wrong), 3)
        assert caught.value.why is reason


def test_a_file_of_proc_is_read_to_its_end() -> None:
    assert b"CapEff" in LinuxFiles().read("/proc/self/status")


def test_each_failure_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"12345")
    os.mkfifo(tmp_path / "pipe")
    assert why(str(tmp_path / "none")) is Why.NOT_PRESENT
    assert why(str(tmp_path / "big" / "below")) is Why.NOT_PRESENT
    assert why(str(tmp_path / "big"), max_bytes=4) is Why.TOO_LARGE
    assert why(str(tmp_path / "pipe")) is Why.OTHER
    assert why(str(tmp_path)) is Why.OTHER
    assert why("a\0b") is Why.OTHER


def test_what_is_forbidden_is_told_as_forbidden(netns: object, tmp_path: Path) -> None:
    code = """
import json, sys
from contracts.errors import Unavailable
from host.files import LinuxFiles
try:
    LinuxFiles().read("/etc/shadow")
except Unavailable as error:
    print(json.dumps([error.why, error.advice]))
"""
    reason, advice = netns.python(code, capabilities=())  # type: ignore[attr-defined]
    assert reason == "permission"
    assert "CAP_DAC_READ_SEARCH" in advice


def test_names_are_bytes_and_links_are_not_followed(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))).write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    files = LinuxFiles()
    assert set(files.names(str(tmp_path))) == {b"caf\xe9", b"link"}
    assert files.link(str(tmp_path / "link")) == b"nowhere"
    assert files.stat(str(tmp_path / "link")).mode & 0o170000 == 0o120000


def test_the_beginning_of_a_file_is_read_whatever_its_length(tmp_path):
    (tmp_path / "long").write_bytes(b"x" * 5000)
    files = LinuxFiles()
    assert files.head(f"{tmp_path}/long", 512) == b"x" * 512
    assert files.head(f"{tmp_path}/long", 9000) == b"x" * 5000
    with pytest.raises(Unavailable):
        files.head(f"{tmp_path}/none", 1)
