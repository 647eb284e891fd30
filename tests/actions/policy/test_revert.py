"""Taking a policy back: the trial alone, or all of it."""

import pytest

from actions.policy import store
from actions.policy.confirm import NoTrial, PolicyConfirm
from actions.policy.revert import PolicyRevert
from actions.policy.table import held
from contracts.policy import digest

from .conftest import NetnsHost, order, policy
from .test_apply import apply


def test_a_first_trial_taken_back_leaves_nothing(host: NetnsHost) -> None:
    apply(host, policy("22"))
    result = order(PolicyRevert, host)
    assert host.ruleset() == ""
    assert result.answer == {"digest": digest(policy("22")), "remaining": ""}


def test_a_trial_over_a_confirmed_policy_leaves_that(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    confirmed = host.ruleset()
    apply(host, policy("80"))
    order(PolicyRevert, host)
    assert host.ruleset() == confirmed


def test_all_of_it_is_removed_and_stays_so(host: NetnsHost) -> None:
    host.nft("add table inet other")
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    result = order(PolicyRevert, host, all=True)
    assert not held(host).present
    assert "inet other" in host.ruleset()
    assert store.confirmed(host) is None
    assert result.events[0].fields["in_force"] == "none"


def test_without_a_trial_the_confirmed_policy_is_not_removed_by_mistake(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    with pytest.raises(NoTrial, match="--all"):
        order(PolicyRevert, host)
    assert held(host).confirmed


def test_all_of_nothing_is_no_error(host: NetnsHost) -> None:
    assert order(PolicyRevert, host, all=True).answer["digest"] == "none"
