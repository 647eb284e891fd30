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
