"""Recovery keys: stock restic opens with one, every slip of the pen is named by group, and nobody is left in false safety."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.errors import WrongPassword
from actions.backup.key_admin import key_list, key_remove
from actions.backup.recovery_key import (
    ALPHABET,
    GROUPS,
    PROVE_EVERY_NS,
    BadRecoveryKey,
    BadState,
    RecoveryState,
    check_typed,
    load_states,
    make_recovery_key,
    nag,
    new_recovery_key,
    prove,
    save_states,
)
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from tests.actions.backup.conftest import CHEAP

NOW = 1_795_000_000 * 10**9


def test_stock_restic_opens_with_what_is_printed(repository: Repository, where: Path, tmp_path: Path) -> None:
    made = make_recovery_key(repository, cost=CHEAP)
    done = subprocess.run(
        ["restic", "--no-cache", "-r", where, "key", "list"],
        env={**os.environ, "RESTIC_PASSWORD": made.text, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"*{made.key_id[:8]}  recovery-key" in done.stdout
    assert [row.recovery for row in key_list(repository)].count(True) == 1


def test_keys_are_random_and_of_their_form() -> None:
    keys = {new_recovery_key() for _ in range(500)}
    assert len(keys) == 500
    for key in keys:
        groups = key.split("-")
        assert [len(group) for group in groups] == [6] * GROUPS
        assert set("".join(groups)) <= set(ALPHABET)
        assert check_typed(key) == key
    assert set("".join(keys)) == {*ALPHABET, "-"}


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from(ALPHABET))
def test_any_wrong_symbol_is_named_by_its_group(group: int, place: int, symbol: str) -> None:
    groups = new_recovery_key().split("-")
    if groups[group][place] == symbol:
        return
    groups[group] = groups[group][:place] + symbol + groups[group][place + 1 :]
    with pytest.raises(BadRecoveryKey, match=f"group {group + 1} is not as printed") as caught:
        check_typed("-".join(groups))
    assert caught.value.groups == (group + 1,)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_two_exchanged_symbols_are_noticed(group: int, one: int, other: int) -> None:
    groups = new_recovery_key().split("-")
    symbols = list(groups[group])
    symbols[one], symbols[other] = symbols[other], symbols[one]
    if "".join(symbols) == groups[group]:
        return
    groups[group] = "".join(symbols)
    with pytest.raises(BadRecoveryKey) as caught:
        check_typed("-".join(groups))
    assert caught.value.groups == (group + 1,)


@given(st.permutations(range(6)))
def test_exchanged_groups_are_noticed(order: list[int]) -> None:
    groups = new_recovery_key().split("-")
    if order == list(range(6)):
        return
    with pytest.raises(BadRecoveryKey) as caught:
        check_typed("-".join(groups[number] for number in order))
    assert caught.value.groups == tuple(place + 1 for place, number in enumerate(order) if place != number)


def test_what_a_hand_makes_of_it_is_read() -> None:
    key = new_recovery_key()
    soft = key.lower().replace("0", "o").replace("1", "l")
    for typed in (
        soft,
        key.replace("-", " "),
        key.replace("-", ""),
        f"  {key}\n",
        key.replace("-", " – "),
        key.replace("1", "I"),
    ):
        assert check_typed(typed) == key


@pytest.mark.parametrize("typed", ["", "ABC", "A" * 37, "Ω" * 36, "U" * 36])
def test_what_is_no_key_is_refused(typed: str) -> None:
    with pytest.raises(BadRecoveryKey):
        check_typed(typed)


def test_a_group_with_a_symbol_too_few_is_named() -> None:
    groups = new_recovery_key().split("-")
    groups[2] = groups[2][:-1]
    groups[4] += "7"
    with pytest.raises(BadRecoveryKey, match="groups 3, 5 are not as printed"):
        check_typed("-".join(groups))


def test_proving_opens_the_repository_with_what_was_typed(repository: Repository, where: Path) -> None:
    made = make_recovery_key(repository, cost=CHEAP)
    state = RecoveryState(made.key_id, NOW)
    proved = prove(LocalStore(where), made.text.lower(), NOW + 5, state)
    assert proved == RecoveryState(made.key_id, NOW, NOW + 5)
    with pytest.raises(WrongPassword):
        prove(LocalStore(where), new_recovery_key(), NOW, state)
    with pytest.raises(BadRecoveryKey):
        prove(LocalStore(where), made.text[:-1], NOW, state)
    other = make_recovery_key(repository, cost=CHEAP)
    assert prove(LocalStore(where), other.text, NOW + 9, state) == RecoveryState(other.key_id, NOW + 9, NOW + 9)
    key_remove(repository, made.key_id)
    with pytest.raises(WrongPassword):
        prove(LocalStore(where), made.text, NOW, state)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (None, "there is no recovery key"),
        (RecoveryState("b" * 64, NOW, NOW), "no more among the keys"),
        (RecoveryState("a" * 64, NOW), "has never been proved"),
        (RecoveryState("a" * 64, NOW, NOW - PROVE_EVERY_NS - 1), "was not proved within a year"),
        (RecoveryState("a" * 64, NOW, NOW + 1), "was not proved within a year"),
        (RecoveryState("a" * 64, NOW, NOW - PROVE_EVERY_NS), ""),
        (RecoveryState("a" * 64, NOW, NOW), ""),
    ],
)
def test_the_nag(state: RecoveryState | None, said: str) -> None:
    found = nag(state, frozenset(["a" * 64]), NOW)
    assert said in found
    assert bool(found) is bool(said)


def test_states_are_kept_and_rubbish_never_passes_for_proved(tmp_path: Path) -> None:
    path = tmp_path / "recovery.json"
    assert load_states(path) == {}
    states = {"r" * 64: RecoveryState("a" * 64, 1, 2)}
    save_states(path, states)
    assert load_states(path) == states
    assert path.stat().st_mode & 0o777 == 0o600
    save_states(path, {})
    assert [entry.name for entry in tmp_path.iterdir()] == ["recovery.json"]
    for rubbish in (b"", b"[]", b'{"x": {"key_id": 1}}', b"\xff"):
        path.write_bytes(rubbish)
        with pytest.raises(BadState, match=r"recovery\.json"):
            load_states(path)
    with pytest.raises(BadState):
        save_states(tmp_path / "no" / "such" / "folder", states)
