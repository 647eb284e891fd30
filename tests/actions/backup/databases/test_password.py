"""A password comes from a file or a credential, whole and alone, and is never part of an error."""

from pathlib import Path

import pytest

from actions.backup.databases.password import read_password
from actions.backup.databases.source import DumpFailed
from host.linux import LinuxHost


def test_it_is_read_from_a_file_or_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").write_text("s3 cret\n")
    assert read_password(LinuxHost(), f"file:{tmp_path}/shop") == "s3 cret"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert read_password(LinuxHost(), "credential:shop") == "s3 cret"


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines\n", b"a\0b", b"\xff\xfe"])
def test_what_is_no_password_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "shop").write_bytes(content)
    with pytest.raises(DumpFailed) as caught:
        read_password(LinuxHost(), f"file:{tmp_path}/shop")
    assert "two" not in str(caught.value)
    assert caught.value.advice


def test_one_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for reference, words in [
        (f"file:{tmp_path}/none", "it is not there"),
        ("credential:none", "systemd passed no credentials"),
        ("hunter2", "neither file: nor credential:"),
        (f"file:{tmp_path}", "not a regular file"),
    ]:
        with pytest.raises(DumpFailed, match=words) as caught:
            read_password(LinuxHost(), reference)
        assert "hunter2" not in str(caught.value)
