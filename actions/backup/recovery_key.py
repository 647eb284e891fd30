"""Recovery key: a password made to be printed and typed in again after years; to the repository it is one more restic password.

Six groups of six symbols of Crockford's base 32, without letters that look like digits. The last symbol of a group checks the five before
it and which group it is: any single wrong symbol, any two exchanged ones and exchanged groups are noticed and named by group. 150 bits.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from actions.backup.crypto import ScryptParameters
from actions.backup.keys import add_key
from actions.backup.repository import Repository
from actions.backup.stores.store import Store
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUPS = 6
GROUP_SIZE = 6
USERNAME = "recovery-key"
"""Under this user name the key file of a recovery key is listed."""

PROVE_EVERY_NS = 365 * 86400 * 1_000_000_000
"""A proof is good for a year: paper gets lost."""

_VALUES = {symbol: value for value, symbol in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_SEPARATORS = " \t\r\n-_\u2010\u2011\u2012\u2013\u2014\u2212\u00a0"


class BadRecoveryKey(HoldfastError):
    """What was typed is not a recovery key; `groups` (from 1 on) says where it is wrong, empty when it has the wrong length."""

    def __init__(self, message: str, groups: tuple[int, ...] = (), *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.groups = groups


class BadState(HoldfastError):
    """The file that says which recovery keys were proved cannot be read."""


class RecoveryState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this host knows of the recovery key of one repository; times in Unix nanoseconds."""

    key_id: str
    created_ns: int
    proved_ns: int | None = None


class MadeKey(NamedTuple):
    """A new recovery key: the id of its key file, and the text to print, which is stored nowhere."""

    key_id: str
    text: str


def new_recovery_key() -> str:
    """A random key as it is printed and as restic takes it: six groups with dashes between."""
    groups = []
    for number in range(GROUPS):
        values = [secrets.randbelow(32) for _ in range(GROUP_SIZE - 1)]
        groups.append("".join(ALPHABET[value] for value in [*values, _check(number, values)]))
    return "-".join(groups)


def check_typed(typed: str) -> str:
    """The key in its printed form, from what a person typed: small letters, O for 0, I and L for 1, any spaces and dashes are all right.

    BadRecoveryKey names the groups that are wrong.
    """
    words = "".join(" " if symbol in _SEPARATORS else symbol for symbol in typed.upper()).split()
    if len(words) != GROUPS:
        joined = "".join(words)
        if len(joined) != GROUPS * GROUP_SIZE:
            raise BadRecoveryKey(
                f"a recovery key has {GROUPS} groups of {GROUP_SIZE} symbols, these are {len(joined)} symbols",
                advice="type it as it is printed, with the dashes",
            )
        words = [joined[at : at + GROUP_SIZE] for at in range(0, len(joined), GROUP_SIZE)]
    wrong = tuple(number + 1 for number, word in enumerate(words) if not _is_right(number, word))
    if wrong:
        where = f"group {wrong[0]} is" if len(wrong) == 1 else f"groups {', '.join(map(str, wrong))} are"
        raise BadRecoveryKey(f"{where} not as printed", wrong, advice="compare symbol by symbol")
    return "-".join("".join(ALPHABET[_VALUES[symbol]] for symbol in word) for word in words)


def make_recovery_key(repository: Repository, *, cost: ScryptParameters | None = None) -> MadeKey:
    """Add a new recovery key to the repository; show the text once, on paper."""
    text = new_recovery_key()
    key_id = add_key(repository.store, text, repository.key, username=USERNAME, cost=cost)
    return MadeKey(key_id, text)


def prove(store: Store, typed: str, now_ns: int, state: RecoveryState | None = None) -> RecoveryState:
    """Open the repository with what was typed from the paper; returns the state to keep.

    BadRecoveryKey for a typo, WrongPassword for a key of another repository or one that was removed.
    """
    opened = Repository.open(store, check_typed(typed), state.key_id if state else "")
    created = state.created_ns if state and state.key_id == opened.key_id else now_ns
    return RecoveryState(opened.key_id, created, now_ns)


def nag(state: RecoveryState | None, key_ids: frozenset[str], now_ns: int) -> str:
    """Why the owner must be reminded, empty when all is well; `key_ids` are the key files that the repository has now."""
    if state is None:
        return "there is no recovery key: whoever loses this host loses the backup's password with it"
    if state.key_id not in key_ids:
        return f"the recovery key {state.key_id[:8]} is no more among the keys of the repository"
    if state.proved_ns is None:
        return f"the recovery key {state.key_id[:8]} has never been proved: type it in once from the paper"
    if not 0 <= now_ns - state.proved_ns <= PROVE_EVERY_NS:
        return f"the recovery key {state.key_id[:8]} was not proved within a year: type it in again from the paper"
    return ""


def load_states(path: Path) -> dict[str, RecoveryState]:
    """The states by repository id; empty when there is no file, BadState when it cannot be read: that never passes for proved."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, RecoveryState])
    except FileNotFoundError:
        return {}
    except (OSError, *UNDECODABLE) as error:
        raise BadState(f"{path}: {error}", advice="remove it and prove the recovery key again") from error


def save_states(path: Path, states: dict[str, RecoveryState]) -> None:
    """Keep the states: a new file, synced, takes the place of the old one."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(states))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise BadState(f"{path}: {error.strerror or error}", advice="make room, or mend the permissions") from error


def _is_right(number: int, word: str) -> bool:
    if len(word) != GROUP_SIZE or any(symbol not in _VALUES for symbol in word):
        return False
    *values, check = (_VALUES[symbol] for symbol in word)
    return check == _check(number, values)


def _check(number: int, values: list[int]) -> int:
    """The check symbol of a group: each symbol times another power of the generator of GF(32), and the number of the group."""
    check = number + 1
    for place, value in enumerate(values):
        check ^= _times(value, _POWERS[place + 1])
    return check


def _times(left: int, right: int) -> int:
    """Multiply in GF(32) modulo x^5 + x^2 + 1."""
    product = 0
    for bit in range(5):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(8, 4, -1):
        if product >> bit & 1:
            product ^= 0b100101 << (bit - 5)
    return product


_POWERS = [1]
for _ in range(GROUP_SIZE):
    _POWERS.append(_times(_POWERS[-1], 2))
