"""A policy on trial: what it refuses, what it falls back to, and that nothing is half applied."""

import time

import msgspec
import pytest

from actions.policy.apply import PolicyApply
from actions.policy.confirm import PolicyConfirm
from actions.policy.store import Damaged, NoFolder
from actions.policy.table import NftRefused, held
from contracts.errors import Refused, UsageError
from contracts.outcome import Failed
from contracts.policy import Policy, digest
from host.dry_run import DryRun
from host.linux import LinuxHost
from tests.analysis.test_logins import HEAD, record, socket_line

from .conftest import NetnsHost, order, policy


def apply(host: NetnsHost, wanted: Policy, seconds: int = 60, **more):  # type: ignore[no-untyped-def]
    return order(PolicyApply, host, policy=msgspec.json.encode(wanted).decode(), seconds=seconds, **more)


def test_a_policy_is_loaded_beside_what_is_there(host: NetnsHost) -> None:
    host.nft("table ip other { chain c { type filter hook input priority 0; tcp dport 1 drop\n } \n}")
    result = apply(host, policy("22"), cuts=["would cut the console"], told=2)
    assert held(host).trial == digest(policy("22"))
    assert held(host).left_s > 50
    assert "tcp dport 1 drop" in host.ruleset()
    (event,) = result.events
    assert event.fields["who"] == "root"
    assert event.fields["overridden"] == ["would cut the console"]
    assert event.fields["former"] == ""
    assert result.looks == {"datapath": 60.5}  # the kernel tells nobody when it ends the trial


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


def test_what_nft_refuses_leaves_the_trial_under_way_to_be_confirmed(host: NetnsHost) -> None:
    apply(host, policy("22"))

    class Spoilt(NetnsHost):
        def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0):  # type: ignore[no-untyped-def]
            return super().change(*argv, stdin=stdin + b"add rule inet holdfast nowhere drop\n")

    with pytest.raises(NftRefused):
        apply(Spoilt(host.name, host.state), policy("80"))
    order(PolicyConfirm, host)
    assert held(host).confirmed == digest(policy("22"))


@pytest.mark.parametrize("told", [0, 1])
def test_who_is_logged_in_is_not_cut_whoever_asks_until_that_was_said_twice(host: NetnsHost, told: int) -> None:
    peer, here = "203.0.113.50", "203.0.113.1"
    sockets = socket_line(("0.0.0.0", 22), ("0.0.0.0", 0), "0A") + socket_line((here, 22), (peer, 50000), "01")
    host.plant("/run/utmp", record(7, peer, 1, user="anna"))
    host.plant("/proc/net/tcp", (HEAD + sockets).encode())
    result = apply(host, policy("80"), told=told)
    assert isinstance(result.outcome, Failed) and result.events == ()
    assert f"would cut the SSH session of anna from {peer} to port 22" in result.outcome.error
    assert len(result.answer["cuts"]) == 1
    assert host.ruleset() == ""
    mine = f"would cut the SSH session of this session from {peer} to port 22: counter drop"
    (event,) = apply(host, policy("80"), cuts=[mine], told=2).events
    assert event.fields["overridden"] == [mine]  # one session, though it goes by two names


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
