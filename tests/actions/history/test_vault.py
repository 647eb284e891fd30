"""The vault: nothing in clear, nothing exchanged, and bounds that keep the last version of each file."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.history.vault import Damaged, Vault, Version
from contracts.errors import HoldfastError, Malformed


def version(content: bytes | None, at_ms: int = 1, path: bytes = b"/etc/x") -> Version:
    return Version(path=path, at_ms=at_ms, content=content)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in (folder / "history").rglob("*") if file.is_file())


def test_neither_content_nor_name_lies_there_in_clear(tmp_path: Path) -> None:
    Vault(tmp_path).keep(version(b"a very secret line\n" * 3, path=b"/etc/secret-name"))
    (file,) = _files(tmp_path)
    assert b"secret" not in file.read_bytes() and "secret" not in str(file.relative_to(tmp_path))
    assert (tmp_path / "history.key").stat().st_mode & 0o777 == 0o600


def test_another_key_opens_nothing_and_a_key_of_a_wrong_length_is_refused(tmp_path: Path) -> None:
    Vault(tmp_path, b"k" * 32).keep(version(b"1"))
    assert list(Vault(tmp_path, b"l" * 32).versions(b"/etc/x")) == []
    with pytest.raises(Malformed, match="has 3 bytes"):
        Vault(tmp_path, b"key")


def test_a_version_cannot_be_passed_off_as_another_files_or_another_times(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.keep(version(b"1", path=b"/etc/a"))
    vault.keep(version(b"2", path=b"/etc/b"))
    one, two = _files(tmp_path)
    one.write_bytes(two.read_bytes())
    with pytest.raises(Damaged):
        [list(vault.versions(path)) for path in (b"/etc/a", b"/etc/b")]
    other = one.with_name("00000000000009-00000000")
    two.rename(other)
    with pytest.raises(Damaged):
        [list(vault.versions(path)) for path in (b"/etc/a", b"/etc/b")]


def test_a_version_goes_by_label_end_and_number_from_the_last(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    for number in range(3):
        vault.keep(version(str(number).encode(), at_ms=number + 1))
    labels = [label for label, _ in vault.versions(b"/etc/x")]
    assert vault.find(b"/etc/x", labels[1])[1].content == b"1"
    assert vault.find(b"/etc/x", labels[0].partition("-")[2])[1].content == b"0"
    assert vault.find(b"/etc/x", "-0")[1].content == b"2" and vault.find(b"/etc/x", "-2")[1].content == b"0"
    for which in ("-3", "nope", "0"):
        with pytest.raises(HoldfastError):
            vault.find(b"/etc/x", which)


def test_the_oldest_go_first_and_the_last_of_each_file_stays(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    for number in range(5):
        for path in (b"/a", b"/b"):
            vault.keep(version(bytes([number]) * 50, at_ms=number + 1, path=path))
    assert vault.thin(3, 1 << 20) == 4
    assert [held.content[0] for _, held in vault.versions(b"/a") if held.content] == [2, 3, 4]
    vault.thin(3, 0)
    assert [len(list(vault.versions(path))) for path in (b"/a", b"/b")] == [1, 1]


@settings(max_examples=30, deadline=None)
@given(
    content=st.one_of(st.none(), st.binary(max_size=500)),
    path=st.binary(min_size=1, max_size=50),
    why=st.text(max_size=20),
)
def test_whatever_was_kept_comes_back(tmp_path_factory, content, path, why) -> None:
    vault = Vault(tmp_path_factory.mktemp("vault"))
    kept = Version(
        path=path,
        at_ms=5,
        content=content,
        mode=0o640,
        uid=1,
        gid=2,
        mtime_ns=-3,
        attributes={"user.a": b"\0"},
        why=why,
    )
    assert vault.keep(kept) and not vault.keep(kept)
    assert [held for _, held in vault.versions(path)] == [kept]
