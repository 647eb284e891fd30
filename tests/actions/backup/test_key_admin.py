"""Keys come and go, and there is always one that opens."""

import json
from pathlib import Path

import pytest

from actions.backup.errors import WrongPassword
from actions.backup.key_admin import key_add, key_list, key_remove
from actions.backup.keys import LastKey
from actions.backup.repository import Repository
from actions.backup.selection import NoSuchSnapshot
from actions.backup.stores.local import LocalStore
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic


def test_the_list_is_that_of_restic(repository: Repository, restic: Restic) -> None:
    added = key_add(repository, "second", username="ann", hostname="vault", cost=CHEAP)
    theirs = {key["id"]: key for key in json.loads(restic("key", "list", "--json").stdout)}
    rows = key_list(repository)
    assert {row.id[: len(next(iter(theirs)))] for row in rows} == set(theirs)
    assert [row.in_use for row in rows] == [row.id == repository.key_id for row in rows]
    (row,) = (row for row in rows if row.id == added)
    assert (row.username, row.hostname, row.in_use, row.recovery, row.damaged) == ("ann", "vault", False, False, "")


def test_an_added_key_opens_and_a_removed_one_does_not(repository: Repository, where: Path, restic: Restic) -> None:
    added = key_add(repository, "second", cost=CHEAP)
    assert Repository.open(LocalStore(where), "second").key_id == added
    assert key_remove(repository, added[:10]) == added
    with pytest.raises(WrongPassword):
        Repository.open(LocalStore(where), "second")
    restic("snapshots")


def test_the_key_in_use_and_the_last_one_stay(repository: Repository, where: Path) -> None:
    with pytest.raises(LastKey, match="is the only one"):
        key_remove(repository, repository.key_id)
    added = key_add(repository, "second", cost=CHEAP)
    with pytest.raises(LastKey, match="is in use"):
        key_remove(repository, repository.key_id[:8])
    other = Repository.open(LocalStore(where), "second")
    key_remove(other, repository.key_id)
    with pytest.raises(LastKey, match="is the only one"):
        key_remove(other, added)
    with pytest.raises(WrongPassword):
        Repository.open(LocalStore(where), PASSWORD)


def test_damaged_keys_are_listed_and_can_go(repository: Repository, where: Path) -> None:
    rubbish = "0" * 64
    (where / "keys" / rubbish).write_bytes(b"added by whoever can write there")
    rows = key_list(repository)
    assert [row.id for row in rows] == [repository.key_id, rubbish]
    assert "SHA-256" in rows[1].damaged
    with pytest.raises(LastKey):
        key_remove(repository, repository.key_id)
    assert key_remove(repository, rubbish) == rubbish


def test_a_key_that_is_not_there(repository: Repository) -> None:
    with pytest.raises(NoSuchSnapshot, match="no key has the id"):
        key_remove(repository, "ffff")
    with pytest.raises(WrongPassword, match="empty"):
        key_add(repository, "", cost=CHEAP)
