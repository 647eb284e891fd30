"""Confirming: in time it is for good, too late it changes nothing."""

import time

import pytest

from actions.policy import store
from actions.policy.confirm import NoTrial, PolicyConfirm
from actions.policy.table import held, load
from analysis.firewall.policy import confirming, script
from contracts.policy import digest

from .conftest import NetnsHost, order, policy
from .test_apply import apply


def test_a_confirmed_policy_stays_when_the_trial_would_have_ended(host: NetnsHost) -> None:
    apply(host, policy("22"), seconds=10)
    result = order(PolicyConfirm, host, who="root (uid 0)")
    state = held(host)
    assert (state.confirmed, state.trial) == (digest(policy("22")), "")
    assert "trial" not in host.ruleset()
    saved = store.read(host, store.POLICY, store.Saved)
    assert saved is not None
    assert (saved.policy, saved.who) == (policy("22"), "root (uid 0)")
    assert result.events[0].fields["who"] == "root (uid 0)"


def test_too_late_is_an_error_and_changes_nothing(host: NetnsHost) -> None:
    apply(host, policy("22"))
    load(host, script(None, policy("22"), 1))
    time.sleep(1.2)
    before = host.ruleset()
    with pytest.raises(NoTrial, match="the trial is over"):
        order(PolicyConfirm, host)
    assert host.ruleset() == before
    assert store.read(host, store.POLICY, store.Saved) is None


def test_the_kernel_refuses_what_ran_out_between_looking_and_confirming(host: NetnsHost) -> None:
    load(host, script(None, policy("22"), 1))
    time.sleep(1.2)
    done = host.run("nft", "-f", "-", stdin=confirming(policy("22")).encode())
    assert done.code != 0
    assert held(host).confirmed == ""


def test_without_a_trial_there_is_nothing_to_confirm(host: NetnsHost) -> None:
    with pytest.raises(NoTrial, match="no policy is on trial; apply one") as raised:
        order(PolicyConfirm, host)
    assert raised.value.exit_code == 2
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    with pytest.raises(NoTrial, match=f"no policy is on trial; {digest(policy('22'))} was confirmed before and holds"):
        order(PolicyConfirm, host)


def test_another_policy_than_the_one_that_is_meant_is_not_confirmed(host: NetnsHost) -> None:
    apply(host, policy("22"))
    with pytest.raises(NoTrial, match="is not on trial"):
        order(PolicyConfirm, host, digest=digest(policy("80")))
    order(PolicyConfirm, host, digest=digest(policy("22")))


def test_a_trial_that_was_not_begun_here_is_not_confirmed(host: NetnsHost) -> None:
    apply(host, policy("22"))
    load(host, script(None, policy("80"), 60))
    with pytest.raises(store.Damaged, match="not the one that was applied here"):
        order(PolicyConfirm, host)
