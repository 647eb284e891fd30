"""A target and its key file: each thing that can be wrong with a key is said plainly."""

import os
import subprocess
from pathlib import Path

import pytest

from actions.backup.stores.sftp_target import SftpTarget, load_client_key
from actions.backup.stores.store import Denied
from tests.actions.backup.stores.sshd import make_key


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_key(tmp_path / "key")
    return tmp_path / "key"


def test_a_good_key_is_loaded(key: Path) -> None:
    assert load_client_key(key).get_base64() == key.with_suffix(".pub").read_text().split()[1]


def test_a_key_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(Denied, match="ssh-keygen -t ed25519") as caught:
        load_client_key(tmp_path / "none")
    assert caught.value.permanent


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_key_that_others_may_use_is_refused(key: Path, mode: int) -> None:
    key.chmod(mode)
    with pytest.raises(Denied, match=f"{mode:04o}.*chmod 600"):
        load_client_key(key)


def test_a_credential_of_systemd_may_be_read_by_the_service_s_group(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(key.parent))
    load_client_key(key)
    key.chmod(0o444)
    with pytest.raises(Denied, match="0444"):
        load_client_key(key)


def test_an_encrypted_key_is_refused(key: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", key], check=True, capture_output=True)
    with pytest.raises(Denied, match="is encrypted"):
        load_client_key(key)


@pytest.mark.parametrize("type", ["rsa", "ecdsa"])
def test_a_key_of_another_type_is_refused(tmp_path: Path, type: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", type, "-N", "", "-f", tmp_path / "key"], check=True)
    with pytest.raises(Denied, match="not an ed25519 private key"):
        load_client_key(tmp_path / "key")


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", os.urandom(400)])
def test_rubbish_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Denied, match="not an ed25519 private key"):
        load_client_key(path)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(Denied, match="not a file"):
        load_client_key(tmp_path)


@pytest.mark.parametrize(
    ("host", "port", "path", "shown"),
    [
        ("backup.example", 22, "repository", "sftp://u@backup.example/repository"),
        ("::1", 2222, "/srv/r", "sftp://u@[::1]:2222//srv/r"),
    ],
)
def test_how_a_target_is_shown(host: str, port: int, path: str, shown: str) -> None:
    assert str(SftpTarget(host=host, port=port, path=path, user="u", key_file="k", known_hosts="h")) == shown
