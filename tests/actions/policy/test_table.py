"""Reading and replacing our own table in the kernel."""

import time

import pytest

from actions.policy.table import Held, NftRefused, held, load
from analysis.firewall.policy import rule_counts, script
from contracts.errors import Unavailable
from contracts.host import Completed
from contracts.policy import digest

from .conftest import NetnsHost, policy


def test_without_the_table_nothing_is_held(host: NetnsHost) -> None:
    assert held(host) == Held()


def test_confirmed_and_trial_are_told_apart(host: NetnsHost) -> None:
    load(host, script(policy("22"), policy("80"), 60))
    state = held(host)
    assert (state.confirmed, state.trial) == (digest(policy("22")), digest(policy("80")))
    assert 50 <= state.left_s <= 60
    assert state.rules["policy_input"] == rule_counts(policy("22"))["policy_input"]
    assert not (state.foreign or state.dormant)


def test_a_trial_that_has_run_out_has_no_time_left(host: NetnsHost) -> None:
    load(host, script(None, policy("80"), 1))
    time.sleep(1.2)
    assert held(host).left_s == 0
    assert held(host).trial == digest(policy("80"))


@pytest.mark.parametrize("chain", ["policy_input", "input"])
def test_an_emptied_chain_is_seen(host: NetnsHost, chain: str) -> None:
    load(host, script(policy("22")))
    host.nft(f"flush chain inet holdfast {chain}")
    state = held(host)
    assert chain not in state.rules
    assert bool(state.confirmed) == (chain == "policy_input")


@pytest.mark.parametrize("forward", ["accept", "drop"])
def test_every_policy_is_counted_as_it_is_loaded(host: NetnsHost, forward: str) -> None:
    wanted = policy("22", "80-90", forward=forward, ping=False)
    load(host, script(wanted, policy("80"), 60))
    state = held(host)
    assert {chain: state.rules[chain] for chain in rule_counts(wanted)} == dict(rule_counts(wanted))
    assert state.foreign == ()


@pytest.mark.parametrize(
    ("change", "chain"),
    [
        ("insert rule inet holdfast input accept", "input"),
        ("add rule inet holdfast policy_input accept", "policy_input"),
    ],
)
def test_a_rule_of_somebody_else_in_our_table_is_seen(host: NetnsHost, change: str, chain: str) -> None:
    load(host, script(policy("22")))
    host.nft(change)
    assert held(host).foreign == (chain,)


def test_a_dormant_table_is_seen(host: NetnsHost) -> None:
    load(host, script(policy("22")))
    host.nft("add table inet holdfast { flags dormant; }")
    assert held(host).dormant


def test_a_refusal_is_told_in_the_kernels_words_and_changes_nothing(host: NetnsHost) -> None:
    host.nft("add table inet other")
    with pytest.raises(NftRefused, match="No such file or directory"):
        load(host, "delete table inet other\ndelete table inet nowhere\n")
    assert "other" in host.ruleset()


def test_what_cannot_be_asked_is_not_nothing(host: NetnsHost) -> None:
    class Deaf(NetnsHost):
        def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 0) -> Completed:
            return Completed(argv=argv, code=1, stdout=b"", stderr=b"Operation not permitted (you must be root)")

    with pytest.raises(Unavailable, match="Operation not permitted"):
        held(Deaf(host.name, host.state))
    Deaf.ask = lambda self, *argv, **_: Completed(argv=argv, code=0, stdout=b"no json", stderr=b"")  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="no JSON"):
        held(Deaf(host.name, host.state))
