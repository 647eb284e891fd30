"""After a boot the confirmed policy comes back from its file alone."""

import msgspec
import pytest

from actions.policy import store
from actions.policy.restore import restore_script
from actions.policy.table import held, load
from contracts.policy import digest

from .conftest import NetnsHost, policy


def saved(content: store.Saved) -> bytes:
    return msgspec.json.encode(content)


def test_the_saved_policy_is_one_transaction(host: NetnsHost) -> None:
    load(host, restore_script(saved(store.Saved(policy=policy("22"), who="root", at_ms=1)), 2))
    assert held(host).confirmed == digest(policy("22"))


def test_a_policy_that_was_removed_does_not_come_back() -> None:
    assert restore_script(saved(store.Saved(policy=None, who="root", at_ms=1)), 2) == ""


def test_a_damaged_file_is_an_error() -> None:
    with pytest.raises(store.Damaged):
        restore_script(b"{}", 2)
