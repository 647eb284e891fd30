"""A secret is read where its reference points, and what goes wrong never shows it."""

import os
from pathlib import Path

import pytest

from settings.secret import SecretUnreadable, read_secret


def test_a_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("s3cret\n")
    assert read_secret(f"file:{tmp_path}/t") == "s3cret"


def test_a_credential_is_read_where_systemd_put_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    assert read_secret("credential:token", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == "s3cret"


def test_without_credentials_the_advice_names_the_unit_line() -> None:
    with pytest.raises(SecretUnreadable, match="add LoadCredential=token:/path to the unit"):
        read_secret("credential:token", {})


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\xff", "is not text"), (b"x" * 70_000, "is larger than")]
)
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(SecretUnreadable, match=said) as caught:
        read_secret(f"file:{tmp_path}/t")
    assert caught.value.exit_code == 78


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(SecretUnreadable, match="cannot be read: no such file or directory; check that it exists"):
        read_secret(f"file:{tmp_path}/t")


def test_a_pipe_is_refused_at_once_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t")
    with pytest.raises(SecretUnreadable, match="is not a file"):
        read_secret(f"file:{tmp_path}/t")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SecretUnreadable, match="is a directory"):
        read_secret(f"file:{tmp_path}")


def test_another_scheme_is_refused_without_repeating_it() -> None:
    with pytest.raises(SecretUnreadable) as caught:
        read_secret("hunter2")
    assert "hunter2" not in str(caught.value)
