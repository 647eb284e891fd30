"""Reading and replacing our own table in the kernel."""

import time

import pytest

from actions.policy.table import Held, NftRefused, held, load
from analysis.firewall.policy import script
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
    assert state.whole and not state.dormant


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
    assert not state.whole if chain == "policy_input" else not state.confirmed


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
