"""The config: valid for restic, and everything else said plainly."""

import json
from pathlib import Path

import msgspec
import pytest

from actions.backup.config import Config, load_config, new_config, save_config
from actions.backup.crypto import Key
from actions.backup.errors import AlreadyRepository, Damaged, NoRepository, Unsupported
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import CONFIG
from tests.actions.backup.conftest import PASSWORD, Restic


@pytest.fixture
def store(where: Path) -> LocalStore:
    made = LocalStore(where)
    made.create()
    return made


KEY = Key.random()


def test_round_trip(store: LocalStore, version: int) -> None:
    config = new_config(version)
    save_config(store, KEY, config)
    assert load_config(store, KEY) == config
    with pytest.raises(AlreadyRepository):
        save_config(store, KEY, new_config())


def test_restic_reads_ours_and_we_read_theirs(repository: Repository, restic: Restic, tmp_path: Path) -> None:
    assert json.loads(restic("cat", "config").stdout) == msgspec.to_builtins(repository.config)
    theirs = tmp_path / "theirs"
    restic("-r", theirs, "init")
    said = json.loads(restic("-r", theirs, "cat", "config").stdout)
    assert msgspec.to_builtins(Repository.open(LocalStore(theirs), PASSWORD).config) == said


def test_there_is_none(store: LocalStore, tmp_path: Path) -> None:
    for place in (store, LocalStore(tmp_path / "nothing")):
        with pytest.raises(NoRepository) as caught:
            load_config(place, KEY)
        assert "init" in caught.value.advice


def put(store: LocalStore, document: bytes) -> None:
    store.save(CONFIG, [KEY.seal(document)])


@pytest.mark.parametrize("version", [0, 3, 99])
def test_a_version_of_the_future_is_left_alone(store: LocalStore, version: int) -> None:
    put(store, b'{"version":%d,"whatever":"is new"}' % version)
    with pytest.raises(Unsupported) as caught:
        load_config(store, KEY)
    assert str(version) in caught.value.message


@pytest.mark.parametrize("polynomial", ["", "xyz", "3", "25b468838dcb74", "7fffffffffffff", "-3DA3358B4DC173"])
def test_a_polynomial_that_is_none_is_damage(store: LocalStore, polynomial: str) -> None:
    put(store, msgspec.json.encode(Config(2, "0" * 64, polynomial)))
    with pytest.raises(Damaged) as caught:
        load_config(store, KEY)
    assert caught.value.where == "config"


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"version":"2"}', b'{"version":2}'])
def test_other_documents_are_damage(store: LocalStore, document: bytes) -> None:
    put(store, document)
    with pytest.raises(Damaged):
        load_config(store, KEY)


def test_another_key_cannot_read_it(store: LocalStore) -> None:
    save_config(store, KEY, new_config())
    with pytest.raises(Damaged):
        load_config(store, Key.random())
