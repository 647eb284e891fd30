"""Pinned host keys: the right one is let in, everything else is refused in a sentence that helps."""

import base64
import subprocess
from pathlib import Path

import pytest

from actions.backup.stores.known_hosts import (
    HostKeyRefused,
    check_host_key,
    fingerprint,
    host_name,
    pinned_keys,
)
from actions.backup.stores.store import Denied
from tests.actions.backup.stores.sshd import make_key


@pytest.fixture
def key(tmp_path: Path) -> tuple[str, bytes]:
    make_key(tmp_path / "key")
    type, blob = (tmp_path / "key.pub").read_text().split()[:2]
    return type, base64.b64decode(blob)


def line(name: str, key: tuple[str, bytes]) -> str:
    return f"{name} {key[0]} {base64.b64encode(key[1]).decode()} a comment\n"


def check(path: Path, key: tuple[str, bytes], host: str = "backup.example", port: int = 22) -> None:
    pinned = pinned_keys(path, host, port)
    check_host_key(pinned, *key, where="sftp://u@h/p", path=path, host=host_name(host, port))


def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path, key: tuple[str, bytes]) -> None:
    shown = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True)
    assert fingerprint(key[1]) == shown.stdout.split()[1]


@pytest.mark.parametrize(
    ("names", "port"),
    [
        ("backup.example", 22),
        ("Backup.Example", 22),
        ("other,backup.example,10.0.0.1", 22),
        ("[backup.example]:2222", 2222),
    ],
)
def test_a_pinned_key_is_let_in(tmp_path: Path, key: tuple[str, bytes], names: str, port: int) -> None:
    path = tmp_path / "known"
    path.write_text("# a comment\n\nother.example ssh-ed25519 AAAA\n" + line(names, key))
    check(path, key, port=port)


@pytest.mark.parametrize("port", [22, 2222])
def test_hashed_names_are_known(tmp_path: Path, key: tuple[str, bytes], port: int) -> None:
    path = tmp_path / "known"
    path.write_text(line(host_name("backup.example", port), key))
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", path], check=True, capture_output=True)
    assert "backup" not in path.read_text()
    check(path, key, port=port)


def test_an_unknown_host_is_refused_with_the_line_to_add(tmp_path: Path, key: tuple[str, bytes]) -> None:
    path = tmp_path / "known"
    path.write_text(line("[backup.example]:2222", key))
    with pytest.raises(HostKeyRefused) as caught:
        check(path, key)
    text = str(caught.value)
    assert caught.value.permanent
    assert f"it shows ssh-ed25519 {fingerprint(key[1])}" in text
    assert line("backup.example", key).removesuffix(" a comment\n") in text
    path.write_text(text.partition("add this line to ")[2].partition(": ")[2])
    check(path, key)


def test_a_changed_key_is_refused_with_both_fingerprints(tmp_path: Path, key: tuple[str, bytes]) -> None:
    path = tmp_path / "known"
    path.write_text("#\n" + line("backup.example", key))
    make_key(tmp_path / "other")
    other = base64.b64decode((tmp_path / "other.pub").read_text().split()[1])
    with pytest.raises(HostKeyRefused) as caught:
        check(path, ("ssh-ed25519", other))
    text = str(caught.value)
    assert fingerprint(other) in text
    assert f"{fingerprint(key[1])} (line 2)" in text
    assert "has changed" in text


def test_a_revoked_key_is_refused_even_if_it_is_pinned_too(tmp_path: Path, key: tuple[str, bytes]) -> None:
    path = tmp_path / "known"
    path.write_text(line("backup.example", key) + "@revoked " + line("backup.example", key))
    with pytest.raises(HostKeyRefused, match="revoked"):
        check(path, key)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("@cert-authority backup.example ssh-ed25519 AAAA\n", "@cert-authority is not supported"),
        ("#\nbackup.example ssh-ed25519 ?*#\n", ":2: the key is not base64"),
        ("backup.example ssh-ed25519\n", ":1: not a line"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(
    tmp_path: Path, key: tuple[str, bytes], content: str, says: str
) -> None:
    path = tmp_path / "known"
    path.write_text(content)
    with pytest.raises(Denied) as caught:
        check(path, key)
    assert says in str(caught.value)


def test_wildcards_pin_nothing(tmp_path: Path, key: tuple[str, bytes]) -> None:
    path = tmp_path / "known"
    path.write_text(line("*", key) + line("*.example", key))
    with pytest.raises(HostKeyRefused, match="unknown"):
        check(path, key)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path, key: tuple[str, bytes]) -> None:
    with pytest.raises(Denied, match=r"ssh-keyscan -t ed25519 -p 2222 backup\.example"):
        check(tmp_path / "none", key, port=2222)
