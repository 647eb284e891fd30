"""Passwords are read from where they are kept, and a new one can be copied by hand."""

from pathlib import Path

import pytest

from actions.backup.passwords import new_password, path_of, read_password
from contracts.errors import Unavailable, UsageError
from host.linux import LinuxHost

FILES = LinuxHost().files


def test_the_end_of_the_line_does_not_count_and_spaces_do(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(" pass word \r\n")
    assert read_password(FILES, f"file:{tmp_path}/key") == " pass word "


@pytest.mark.parametrize(("content", "said"), [(b"", "empty"), (b"\n", "empty"), (b"\xff\n", "UTF-8")])
def test_what_is_no_password_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(Unavailable, match=said):
        read_password(FILES, f"file:{tmp_path}/key")


def test_a_missing_file_says_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        read_password(FILES, f"file:{tmp_path}/gone")
    assert "holdfast backup init" in caught.value.advice


def test_credentials_come_from_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(Unavailable, match="passed no credential"):
        path_of("credential:backup")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert path_of("credential:backup") == "/run/credentials/x/backup"
    with pytest.raises(UsageError):
        path_of("secret")


def test_a_new_password_is_long_and_never_the_same() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 47 and one.isascii() and not set("01ilo") & set(one) for one in made)
