"""A policy on trial: what it refuses, what it falls back to, and that nothing is half applied."""

import time

import msgspec
import pytest

from actions.policy.apply import PolicyApply
from actions.policy.confirm import PolicyConfirm
from actions.policy.store import Damaged, NoFolder
from actions.policy.table import NftRefused, held
from contracts.errors import Refused, UsageError
from contracts.policy import Policy, digest
from host.dry_run import DryRun
from host.linux import LinuxHost

from .conftest import NetnsHost, order, policy


def apply(host: NetnsHost, wanted: Policy, seconds: int = 60, **more):  # type: ignore[no-untyped-def]
    return order(PolicyApply, host, policy=msgspec.json.encode(wanted).decode(), seconds=seconds, **more)


def test_a_policy_is_loaded_beside_what_is_there(host: NetnsHost) -> None:
    host.nft("table ip other { chain c { type filter hook input priority 0; tcp dport 1 drop\n } \n}")
    result = apply(host, policy("22"), overridden=["ssh from 192.0.2.1"])
    assert held(host).trial == digest(policy("22"))
    assert held(host).left_s > 50
    assert "tcp dport 1 drop" in host.ruleset()
    (event,) = result.events
    assert event.fields["who"] == "root"
    assert event.fields["overridden"] == ["ssh from 192.0.2.1"]
    assert event.fields["former"] == ""


def test_what_is_not_confirmed_ends_by_itself(host: NetnsHost) -> None:
    apply(host, policy("22"), seconds=10)
    host.ran.clear()
    assert held(host).left_s
    time.sleep(10.3)
    assert not held(host).left_s
    assert host.ran == []  # nobody did anything


def test_over_a_confirmed_policy_the_trial_falls_back_to_it(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    result = apply(host, policy("80"))
    state = held(host)
    assert (state.confirmed, state.trial) == (digest(policy("22")), digest(policy("80")))
    assert result.events[0].fields["former"] == digest(policy("22"))
    text = host.ruleset()
    assert text.index("goto trial_input") < text.index("goto policy_input")


def test_a_second_trial_takes_the_place_of_the_first(host: NetnsHost) -> None:
    apply(host, policy("22"))
    apply(host, policy("80"))
    assert held(host).trial == digest(policy("80"))
    assert held(host).confirmed == ""


def test_what_is_only_declared_is_not_applied(host: NetnsHost) -> None:
    with pytest.raises(Refused, match="enforce"):
        apply(host, Policy(services=policy().services))
    assert host.ruleset() == ""


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"services": {"x": {"ports": ["0"]}}}'])
def test_no_policy_is_an_error_and_changes_nothing(host: NetnsHost, text: str) -> None:
    with pytest.raises(UsageError):
        order(PolicyApply, host, policy=text, seconds=60)
    assert host.ran == []


@pytest.mark.parametrize("seconds", [0, 9, 3601])
def test_a_trial_has_a_sensible_length(host: NetnsHost, seconds: int) -> None:
    with pytest.raises(UsageError, match="10 to 3600"):
        apply(host, policy(), seconds)


def test_what_the_kernel_refuses_leaves_everything_as_it_was(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    before = host.ruleset()

    class Spoilt(NetnsHost):
        def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0):  # type: ignore[no-untyped-def]
            return super().change(*argv, stdin=stdin + b"add rule inet holdfast nowhere drop\n")

    spoilt = Spoilt(host.name, host.state)
    with pytest.raises(NftRefused, match="No such file or directory"):
        apply(spoilt, policy("80"))
    assert host.ruleset() == before


def test_without_a_folder_nothing_is_put_on_trial(host: NetnsHost) -> None:
    host.state = ""
    with pytest.raises(NoFolder, match="nothing would survive"):
        apply(host, policy())
    assert host.ran == []


def test_a_damaged_file_never_reads_as_no_policy(host: NetnsHost) -> None:
    host.write(f"{host.state}/policy.json", b'{"policy": nul')
    with pytest.raises(Damaged, match=r"policy\.json is damaged"):
        apply(host, policy())
    assert host.ran == []


def test_a_policy_that_was_not_confirmed_here_is_not_replaced(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    for name in ("policy.json", "trial.json"):
        host.write(f"{host.state}/{name}", b'{"policy": null, "who": "", "at_ms": 0}')
    with pytest.raises(Damaged, match="not confirmed here"):
        apply(host, policy("80"))


def test_a_dry_run_changes_nothing(host: NetnsHost) -> None:
    host.netfilter = LinuxHost().netfilter  # wrapped, never used
    dry = DryRun(host)  # type: ignore[arg-type]
    result = apply(dry, policy(), dry=True)  # type: ignore[arg-type]
    assert result.events == ()
    assert host.ruleset() == ""
    assert any(b"table inet holdfast" in each.stdin for each in dry.planned)
