"""The authority goes into one encrypted file and comes back the same."""

import datetime as dt
from pathlib import Path

import msgspec
import pytest

from console.authority import Authority
from console.authority_backup import Backup, back_up, restore
from contracts.errors import HoldfastError

PASSPHRASE = "a long enough passphrase"


def test_a_backup_brings_every_generation_back(tmp_path: Path, moment: dt.datetime) -> None:
    authority = Authority.create(tmp_path / "ca", moment).renew(moment)
    assert back_up(tmp_path / "ca", tmp_path / "backup", PASSPHRASE) == 2
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    restored = restore(tmp_path / "backup", tmp_path / "new", PASSPHRASE)
    assert restored.trusted() == authority.trusted()
    for entry in (tmp_path / "ca").iterdir():
        copy = tmp_path / "new" / entry.name
        assert copy.read_bytes() == entry.read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o600


def test_nothing_of_a_key_can_be_read_without_the_passphrase(tmp_path: Path, moment: dt.datetime) -> None:
    Authority.create(tmp_path / "ca", moment)
    back_up(tmp_path / "ca", tmp_path / "backup", PASSPHRASE)
    assert b"PRIVATE" not in (tmp_path / "backup").read_bytes()
    with pytest.raises(HoldfastError, match="passphrase is wrong"):
        restore(tmp_path / "backup", tmp_path / "new", "not the passphrase")
    backup = msgspec.json.decode((tmp_path / "backup").read_bytes(), type=Backup)
    (tmp_path / "backup").write_bytes(msgspec.json.encode(msgspec.structs.replace(backup, scrypt_n=2**16)))
    with pytest.raises(HoldfastError):
        restore(tmp_path / "backup", tmp_path / "new", PASSPHRASE)


def test_an_authority_that_is_there_is_not_replaced_by_accident(tmp_path: Path, moment: dt.datetime) -> None:
    first = Authority.create(tmp_path / "ca", moment)
    back_up(tmp_path / "ca", tmp_path / "backup", PASSPHRASE)
    second = Authority.create(tmp_path / "other", moment)
    with pytest.raises(HoldfastError, match="already holds"):
        restore(tmp_path / "backup", tmp_path / "other", PASSPHRASE)
    assert Authority.load(tmp_path / "other").pin == second.pin
    assert restore(tmp_path / "backup", tmp_path / "other", PASSPHRASE, replace=True).pin == first.pin


@pytest.mark.parametrize("content", [b"", b"{}", b"hello", b'{"format": 1}'])
def test_what_is_not_a_backup_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "backup").write_bytes(content)
    with pytest.raises(HoldfastError, match="not a backup"):
        restore(tmp_path / "backup", tmp_path / "new", PASSPHRASE)


def test_a_short_passphrase_is_refused(tmp_path: Path, moment: dt.datetime) -> None:
    Authority.create(tmp_path / "ca", moment)
    with pytest.raises(HoldfastError, match="shorter"):
        back_up(tmp_path / "ca", tmp_path / "backup", "short")
