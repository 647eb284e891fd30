"""What the worker keeps: nothing there is none, something unreadable is an error."""

import pytest

from actions.policy import store
from actions.policy.table import load
from analysis.firewall.policy import script
from contracts.policy import digest

from .conftest import NetnsHost, policy


def save(host: NetnsHost, name: str, *ports: str) -> None:
    store.write(host, name, store.Saved(policy=policy(*ports), who="root", at_ms=1))


def test_what_was_never_written_is_none(host: NetnsHost) -> None:
    assert store.read(host, store.POLICY, store.Saved) is None
    assert store.confirmed(host) is None


def test_what_was_written_is_read(host: NetnsHost) -> None:
    save(host, store.POLICY, "22")
    assert store.confirmed(host) == policy("22")


def test_a_removed_policy_is_none(host: NetnsHost) -> None:
    store.write(host, store.POLICY, store.Saved(policy=None, who="root", at_ms=1))
    assert store.confirmed(host) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"policy": {"services": {"x": {"ports": ["none"]}}}, "who": "", "at_ms": 1}']
)
def test_what_does_not_read_is_an_error(host: NetnsHost, content: bytes) -> None:
    host.write(f"{host.state}/{store.POLICY}", content)
    with pytest.raises(store.Damaged, match=r"policy\.json is damaged"):
        store.confirmed(host)


def test_a_worker_that_ended_between_confirming_and_writing_is_made_good(host: NetnsHost) -> None:
    save(host, store.POLICY, "22")
    save(host, store.TRIAL, "80")
    load(host, script(policy("80")))
    assert store.confirmed(host, digest(policy("80"))) == policy("80")
    assert store.confirmed(host) == policy("80")


def test_a_policy_of_unknown_origin_is_an_error(host: NetnsHost) -> None:
    save(host, store.POLICY, "22")
    with pytest.raises(store.Damaged, match="not confirmed here"):
        store.confirmed(host, digest(policy("80")))


def test_without_a_folder_there_is_nothing_to_keep_it_in(host: NetnsHost) -> None:
    host.state = ""
    with pytest.raises(store.NoFolder):
        store.read(host, store.POLICY, store.Saved)
