"""Key files: the master key of the repository, encrypted under a key that scrypt derives from a password; one file for each password.

Source: restic's doc/design.rst, "Keys, Encryption and MAC". Key files are plain JSON, named by their SHA-256 like every file.
"""

import os
import pwd
import socket
import time
from dataclasses import dataclass

import msgspec

from actions.backup.crypto import SALT_SIZE, BadParameters, Key, ScryptParameters, Unauthenticated, calibrate, derive
from actions.backup.errors import Damaged, NoRepository, WrongPassword
from actions.backup.ids import id_of
from actions.backup.stores.store import FileType, Handle, NotThere, Store
from actions.backup.times import format_time
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError


class LastKey(HoldfastError):
    """The key that is in use, or the only one, is not removed: the repository would be lost with it."""


class KeyFile(msgspec.Struct, kw_only=True):
    """A key file, field for field as restic writes it."""

    created: str
    username: str
    hostname: str
    kdf: str
    N: int
    r: int
    p: int
    salt: bytes
    data: bytes


class _Mac(msgspec.Struct):
    k: bytes
    r: bytes


class _Master(msgspec.Struct):
    mac: _Mac
    encrypt: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """The master key, the id of the key file that gave it, and the names of key files that are damaged."""

    master: Key
    key_id: str
    damaged: tuple[str, ...] = ()


def add_key(
    store: Store,
    password: str,
    master: Key,
    *,
    username: str = "",
    hostname: str = "",
    cost: ScryptParameters | None = None,
) -> str:
    """Store the master key once more, under another password; returns the id of the new key file. `cost` is calibrated when not given."""
    if not password:
        raise WrongPassword("an empty password protects nothing")
    cost = cost or calibrate()
    salt = os.urandom(SALT_SIZE)
    encrypt, mac_k, mac_r = master.parts
    sealed = derive(password, salt, cost).seal(msgspec.json.encode(_Master(_Mac(mac_k, mac_r), encrypt)))
    document = msgspec.json.encode(
        KeyFile(
            created=format_time(time.time_ns()),
            username=username or _own_name(),
            hostname=hostname or socket.gethostname(),
            kdf="scrypt",
            N=cost.n,
            r=cost.r,
            p=cost.p,
            salt=salt,
            data=bytes(sealed),
        )
    )
    name = id_of(document).hex()
    store.save(Handle(FileType.KEY, name), [document])
    return name


def search_key(store: Store, password: str, hint: str = "") -> Opened:
    """Try the password on every key file (first the one named `hint`).

    WrongPassword when none opens; Damaged when none opens and some file is not what was written; NoRepository when there is no key at all.
    """
    try:
        names = sorted((name for name, _ in store.list(FileType.KEY)), key=lambda name: (name != hint, name))
    except NotThere:
        names = []
    if not names:
        there = any(True for _ in store.list(FileType.CONFIG))
        if there:
            raise Damaged("keys", "the repository has a config, but no key file", advice="fetch the keys from a copy")
        raise NoRepository(
            f"{store.location}: there is no repository",
            advice="check the path, or make one with `holdfast backup init`",
        )
    damaged: list[Damaged] = []
    for name in names:
        try:
            return Opened(_open(load_key_file(store, name), name, password), name, tuple(d.where for d in damaged))
        except Unauthenticated:
            continue
        except Damaged as error:
            damaged.append(error)
    if damaged:
        raise damaged[0]
    raise WrongPassword(
        f"{store.location}: wrong password, none of {len(names)} keys opens",
        advice="give the password of one of the keys",
    )


def list_keys(store: Store) -> list[tuple[str, KeyFile | Damaged]]:
    """Every key file by its id, damaged ones as what is wrong with them."""
    found: list[tuple[str, KeyFile | Damaged]] = []
    for name, _ in sorted(store.list(FileType.KEY)):
        try:
            found.append((name, load_key_file(store, name)))
        except Damaged as error:
            found.append((name, error))
    return found


def remove_key(store: Store, key_id: str, current: str) -> None:
    """Remove a key file; LastKey for the one that is in use now (`current`)."""
    if key_id == current:
        raise LastKey(f"key {key_id[:8]} is in use", advice="open the repository with another password to remove it")
    store.remove(Handle(FileType.KEY, key_id))


def load_key_file(store: Store, name: str) -> KeyFile:
    """One key file, checked against its name; Damaged when it is not what was written."""
    document = store.load(Handle(FileType.KEY, name))
    where = f"key/{name}"
    if id_of(document).hex() != name:
        raise Damaged(where, "its SHA-256 is not its name")
    try:
        file = msgspec.json.decode(document, type=KeyFile)
    except UNDECODABLE as error:
        raise Damaged(where, f"not a key file: {error}") from error
    if file.kdf != "scrypt":
        raise Damaged(where, f"the key derivation {file.kdf!r} is not known")
    return file


def _open(file: KeyFile, name: str, password: str) -> Key:
    try:
        user = derive(password, file.salt, ScryptParameters(file.N, file.r, file.p))
        master = msgspec.json.decode(user.open(file.data), type=_Master)
        return Key(master.encrypt, master.mac.k, master.mac.r)
    except (BadParameters, *UNDECODABLE) as error:
        raise Damaged(f"key/{name}", str(error)) from error


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
