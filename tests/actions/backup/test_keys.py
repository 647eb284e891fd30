"""Keys: several passwords for one repository, ours and restic's, and what is damaged or wrong named as such."""

import json
from pathlib import Path

import pytest

from actions.backup.crypto import Key
from actions.backup.errors import Damaged, NoRepository, WrongPassword
from actions.backup.keys import KeyFile, LastKey, add_key, list_keys, load_key_file, remove_key, search_key
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle, NotThere
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic


def test_a_second_password_opens_the_same_repository(repository: Repository) -> None:
    second = add_key(repository.store, "second", repository.key, cost=CHEAP)
    assert search_key(repository.store, "second").key_id == second
    assert search_key(repository.store, "second").master.parts == repository.key.parts
    assert search_key(repository.store, PASSWORD).key_id == repository.key_id
    assert {id for id, _ in list_keys(repository.store)} == {second, repository.key_id}


def test_passwords_of_any_language_are_those_of_restic(
    repository: Repository, restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_key(repository.store, "pässwörd 😀", repository.key, cost=CHEAP)
    assert b"chunker_polynomial" in restic("--password-command", "echo pässwörd 😀", "cat", "config").stdout


def test_restic_lists_our_keys_and_opens_with_them(repository: Repository, restic: Restic) -> None:
    add_key(repository.store, "second", repository.key, username="ann", hostname="away", cost=CHEAP)
    listed = json.loads(restic("key", "list", "--json").stdout)
    assert ("ann", "away") in {(key["userName"], key["hostName"]) for key in listed}
    master = json.loads(restic("cat", "masterkey").stdout)
    assert set(master) == {"mac", "encrypt"}


def test_we_open_with_a_key_that_restic_added(repository: Repository, restic: Restic, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("theirs")
    restic("key", "add", "--new-password-file", tmp_path / "new")
    opened = search_key(repository.store, "theirs")
    assert opened.master.parts == repository.key.parts
    theirs = load_key_file(repository.store, opened.key_id)
    assert (theirs.kdf, theirs.r) == ("scrypt", 8)


def test_new_keys_have_the_cost_that_restic_gives(where: Path) -> None:
    repository = Repository.create(LocalStore(where), PASSWORD)
    file = load_key_file(repository.store, repository.key_id)
    assert (file.N, file.r, len(file.salt)) == (32768, 8, 64)


def test_a_wrong_password_is_said_plainly(repository: Repository) -> None:
    for password in ("", "wrong", PASSWORD + " "):
        with pytest.raises(WrongPassword) as caught:
            search_key(repository.store, password)
        assert "none of 1 keys opens" in caught.value.message


def test_an_empty_password_is_refused_for_a_new_key(repository: Repository) -> None:
    with pytest.raises(WrongPassword):
        add_key(repository.store, "", repository.key, cost=CHEAP)


def test_removing(repository: Repository) -> None:
    second = add_key(repository.store, "second", repository.key, cost=CHEAP)
    with pytest.raises(LastKey):
        remove_key(repository.store, repository.key_id, repository.key_id)
    remove_key(repository.store, second, repository.key_id)
    with pytest.raises(WrongPassword):
        search_key(repository.store, "second")
    with pytest.raises(NotThere):
        remove_key(repository.store, second, repository.key_id)


def test_a_damaged_key_does_not_keep_another_from_opening_and_is_named(repository: Repository, where: Path) -> None:
    second = add_key(repository.store, "second", repository.key, cost=CHEAP)
    path = where / "keys" / second
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"p":1', b'"p":2'))
    opened = search_key(repository.store, PASSWORD, hint=second)
    assert (opened.key_id, opened.damaged) == (repository.key_id, (f"key/{second}",))
    with pytest.raises(Damaged) as caught:
        search_key(repository.store, "second")
    assert caught.value.where == f"key/{second}"
    assert [type(key) for id, key in list_keys(repository.store) if id == second] == [Damaged]


@pytest.mark.parametrize(
    "change",
    [
        {"N": 1 << 40},
        {"N": 3},
        {"kdf": "argon2"},
        {"data": "AAAA"},
        {"salt": 5},
    ],
)
def test_a_key_file_with_a_right_name_and_mad_content_is_damage_or_no_match(
    repository: Repository, where: Path, change: dict[str, object]
) -> None:
    """Whoever can write to the store can add such a file; it must neither stop the machine nor the other keys."""
    import hashlib

    (path,) = (where / "keys").iterdir()
    document = json.dumps({**json.loads(path.read_bytes()), **change}).encode()
    name = hashlib.sha256(document).hexdigest()
    repository.store.save(Handle(FileType.KEY, name), [document])
    assert search_key(repository.store, PASSWORD, hint=name).key_id == repository.key_id
    path.unlink()
    with pytest.raises((Damaged, WrongPassword)):
        search_key(repository.store, PASSWORD)


def test_nothing_there_is_no_repository_and_a_config_without_keys_is_damage(
    repository: Repository, where: Path, tmp_path: Path
) -> None:
    with pytest.raises(NoRepository):
        search_key(LocalStore(tmp_path / "nothing"), PASSWORD)
    for path in (where / "keys").iterdir():
        path.unlink()
    with pytest.raises(Damaged) as caught:
        search_key(repository.store, PASSWORD)
    assert caught.value.where == "keys"


def test_the_file_says_when_and_by_whom_but_no_secret(repository: Repository) -> None:
    ((_, file),) = list_keys(repository.store)
    assert isinstance(file, KeyFile)
    assert file.username == "root"
    encrypt, mac_k, mac_r = repository.key.parts
    assert not any(part in file.data for part in (encrypt, mac_k, mac_r))
    assert isinstance(repository.key, Key)
    assert encrypt.hex() not in repr(repository.key)
