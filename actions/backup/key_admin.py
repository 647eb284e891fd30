"""Key administration: which keys open a repository, one more, one less; never the last one that is whole, never the one in use."""

from dataclasses import dataclass

from actions.backup.crypto import ScryptParameters
from actions.backup.errors import Damaged
from actions.backup.keys import LastKey, add_key, list_keys, remove_key
from actions.backup.recovery_key import USERNAME
from actions.backup.repository import Repository
from actions.backup.selection import resolve


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as listed: who made it, where and when (RFC 3339), whether it is the one in use; `damaged` says what is wrong with its file."""

    id: str
    username: str = ""
    hostname: str = ""
    created: str = ""
    in_use: bool = False
    damaged: str = ""

    @property
    def recovery(self) -> bool:
        """Whether this is a printed recovery key."""
        return self.username == USERNAME


def key_list(repository: Repository) -> list[KeyRow]:
    """Every key file, the oldest first, damaged ones at the end."""
    rows = []
    for id, key in list_keys(repository.store):
        if isinstance(key, Damaged):
            rows.append(KeyRow(id, damaged=key.what))
        else:
            rows.append(KeyRow(id, key.username, key.hostname, key.created, id == repository.key_id))
    return sorted(rows, key=lambda row: (bool(row.damaged), row.created, row.id))


def key_add(
    repository: Repository,
    password: str,
    *,
    username: str = "",
    hostname: str = "",
    cost: ScryptParameters | None = None,
) -> str:
    """Let one more password open the repository; returns the id of its key file. WrongPassword for an empty one."""
    return add_key(repository.store, password, repository.key, username=username, hostname=hostname, cost=cost)


def key_remove(repository: Repository, word: str) -> str:
    """Remove the key whose id begins with `word`; returns the id. LastKey for the one in use or the last whole one.

    What was read with that password before stays readable to whoever kept the master key: a leaked password asks for a new repository.
    """
    rows = {row.id: row for row in key_list(repository)}
    id = resolve(rows, word, "key")
    whole = [row.id for row in rows.values() if not row.damaged]
    if whole == [id]:
        raise LastKey(f"key {id[:8]} is the only one", advice="add another key first, and open the repository with it")
    remove_key(repository.store, id, repository.key_id)
    return id
