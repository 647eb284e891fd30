"""The guard restores what was accepted, never against a person, and says what it did."""

import msgspec
import pytest

from actions.policy import guard, store
from actions.policy.confirm import PolicyConfirm
from actions.policy.guard import GuardPause, GuardRestore, GuardSave
from actions.policy.revert import PolicyRevert
from actions.policy.table import held
from analysis.firewall.policy import script
from contracts.action import Result
from contracts.errors import UsageError
from contracts.event import Event, Severity
from contracts.outcome import Failed
from contracts.policy import digest

from .conftest import NetnsHost, order, policy
from .test_apply import apply
from .test_good import RULESET


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SETTLE_S", 0.01)


@pytest.fixture
def saved(host: NetnsHost) -> NetnsHost:
    host.nft(RULESET)
    order(GuardSave, host, who="anna")
    return host


def restore(host: NetnsHost, **more) -> Result:  # type: ignore[no-untyped-def]
    return order(GuardRestore, host, **more)


def kinds(result: Result) -> list[str]:
    return [event.kind for event in result.events]


def test_a_flushed_ruleset_comes_back_with_proof(saved: NetnsHost) -> None:
    before = saved.ruleset()
    saved.nft("flush ruleset")
    seen = Event(
        kind="firewall.ruleset_flushed",
        key="summary",
        severity=Severity.CRITICAL,
        observed_ms=store.now_ms(saved) - 100,  # type: ignore[arg-type]
    )
    result = restore(saved, event=seen)
    assert saved.ruleset() == before.replace("table ip nothing {\n}\n", "")  # an empty table is no loss
    (event,) = result.events
    assert event.kind == "firewall.guard_restored"
    assert event.fields["tables"] == ["inet site", "netdev edge"]
    assert event.fields["accepted_by"] == "anna"
    assert 100 <= event.fields["milliseconds"] <= store.now_ms(saved) - seen.observed_ms  # type: ignore[operator, arg-type]
    assert result.proof is not None and result.proof.numbers["tables"] == 2


def test_what_is_not_lost_is_not_touched(saved: NetnsHost) -> None:
    saved.nft("add table inet f2b-table { set bans { type ipv4_addr; elements = { 192.0.2.1 }\n } \n}")
    saved.nft("add rule netdev edge in ip saddr 192.0.2.67 drop\ndelete table inet site")
    restore(saved)
    text = saved.ruleset()
    assert "192.0.2.67" in text  # a table beside the lost one keeps its newest rules
    assert "elements = { 192.0.2.1 }" in text
    assert "table inet site" in text


def test_a_tool_that_reloads_is_not_in_the_way(saved: NetnsHost, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.nft("delete table inet site")
    monkeypatch.setattr(guard.time, "sleep", lambda _: saved.nft(RULESET))  # it is back before the guard acts
    saved.ran.clear()
    assert restore(saved).events == ()
    assert saved.ran == []


def test_nothing_missing_is_nothing_done(saved: NetnsHost) -> None:
    saved.ran.clear()
    assert restore(saved).events == ()
    assert saved.ran == []


def test_the_policy_of_our_own_table_comes_back(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    whole = held(host)
    for change in (
        "flush ruleset",
        "flush table inet holdfast",
        "add table inet holdfast { flags dormant; }",
        "flush chain inet holdfast policy_input",
        "insert rule inet holdfast policy_input accept",
        "insert rule inet holdfast input accept",
    ):
        host.nft(change)
        assert restore(host).events[0].fields["tables"] == ["inet holdfast"]
        assert held(host) == whole


def test_a_confirmation_that_was_not_written_any_more_is_not_undone(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    former = host.read(f"{host.state}/policy.json")
    apply(host, policy("80"))
    order(PolicyConfirm, host)
    host.write(f"{host.state}/policy.json", former)  # the worker was killed before it wrote
    assert restore(host).events == ()
    assert held(host).confirmed == digest(policy("80"))


def test_what_somebody_loaded_in_our_name_is_replaced(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    host.nft(script(policy("1-65535")))
    assert kinds(restore(host)) == ["firewall.guard_restored"]
    assert held(host).confirmed == digest(policy("22"))


def test_a_policy_whose_removal_was_not_finished_is_not_brought_back(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    host.later_s = 5
    store.write(host, store.POLICY, store.Saved(policy=None, who="anna", at_ms=store.now_ms(host)))  # type: ignore[arg-type]
    host.nft("flush chain inet holdfast policy_input")
    restore(host)
    assert store.read(host, store.POLICY, store.Saved).policy is None  # type: ignore[arg-type, union-attr]
    assert "policy_input" not in held(host).rules


def test_the_events_of_one_flush_are_one_look(saved: NetnsHost) -> None:
    saved.nft("flush ruleset")
    assert kinds(restore(saved, cause="e1")) == ["firewall.guard_restored"]
    assert restore(saved, cause="e2").summary == ""
    asked = saved.asked
    assert restore(saved, cause="e3").summary == ""
    assert saved.asked == asked
    saved.nft("delete table inet site")
    assert kinds(restore(saved, cause="e4")) == ["firewall.guard_restored"]


def test_what_is_left_as_it_is_is_said_once(saved: NetnsHost) -> None:
    order(GuardPause, saved, who="bob", seconds=1800)
    saved.nft("flush ruleset")
    assert kinds(restore(saved, cause="e1")) == ["firewall.guard_held_back"]
    assert kinds(restore(saved, cause="e2")) == []
    saved.nft("table ip other { }")
    assert kinds(restore(saved, cause="e3")) == ["firewall.guard_held_back"]
    order(GuardPause, saved, seconds=0)
    assert kinds(restore(saved)) == ["firewall.guard_restored"]  # a person is always answered


def test_what_a_person_restores_does_not_count(saved: NetnsHost) -> None:
    for _ in range(3):
        saved.nft("flush ruleset")
        restore(saved)
    saved.nft("flush ruleset")
    assert kinds(restore(saved, cause="e", times=1, per_s=3600.0)) == ["firewall.guard_restored"]


def test_a_clock_that_was_set_back_neither_prolongs_a_pause_nor_tires_the_guard(saved: NetnsHost) -> None:
    order(GuardPause, saved, seconds=0)
    saved.later_s = 400 * 86400
    order(GuardPause, saved, seconds=1800)
    saved.nft("flush ruleset")
    saved.later_s = 400 * 86400 + 1801
    assert kinds(restore(saved, cause="e", times=1, per_s=3600.0)) == ["firewall.guard_restored"]
    saved.later_s = 0
    saved.nft("flush ruleset")
    assert kinds(restore(saved, cause="e", times=1, per_s=3600.0)) == ["firewall.guard_restored"]


def test_a_trial_over_the_confirmed_policy_is_no_loss(host: NetnsHost) -> None:
    apply(host, policy("22"))
    order(PolicyConfirm, host)
    apply(host, policy("80"))
    assert restore(host).events == ()
    assert held(host).trial == digest(policy("80"))


def test_what_holdfast_itself_removes_stays_removed(saved: NetnsHost) -> None:
    apply(saved, policy("22"))
    order(PolicyConfirm, saved)
    order(PolicyRevert, saved, all=True)
    assert restore(saved).events == ()
    assert not held(saved).present


def test_within_announced_work_it_only_watches(saved: NetnsHost) -> None:
    order(GuardPause, saved, who="bob", seconds=1800)
    saved.nft("flush ruleset")
    result = restore(saved)
    assert kinds(result) == ["firewall.guard_held_back"]
    assert "bob" in str(result.events[0].fields["reason"])
    assert saved.ruleset() == ""
    saved.later_s = 1801
    assert kinds(restore(saved)) == ["firewall.guard_restored"]


def test_a_pause_can_be_ended_early(saved: NetnsHost) -> None:
    order(GuardPause, saved, seconds=1800)
    order(GuardPause, saved, seconds=0)
    saved.nft("flush ruleset")
    assert kinds(restore(saved)) == ["firewall.guard_restored"]


@pytest.mark.parametrize("seconds", [-1, 86401, None])
def test_a_pause_has_an_end(host: NetnsHost, seconds: int | None) -> None:
    with pytest.raises(UsageError):
        order(GuardPause, host, seconds=seconds)


def test_after_so_many_times_it_only_alarms(saved: NetnsHost) -> None:
    said = []
    for _ in range(4):
        saved.nft("flush ruleset")
        said += kinds(restore(saved, cause="e", times=3, per_s=3600.0))
    assert said == ["firewall.guard_restored"] * 3 + ["firewall.guard_held_back"]
    assert saved.ruleset() == ""
    saved.later_s = 3601
    saved.nft("table ip more { }")
    assert kinds(restore(saved, cause="e", times=3, per_s=3600.0)) == ["firewall.guard_restored"]


def test_with_nothing_accepted_it_says_so(host: NetnsHost) -> None:
    result = restore(host)
    assert kinds(result) == ["firewall.guard_held_back"]
    assert "nothing was accepted" in str(result.events[0].fields["reason"])


def test_what_the_kernel_refuses_is_an_alarm_and_nothing_is_half_restored(saved: NetnsHost) -> None:
    good = store.read(saved, store.GOOD, store.Good)  # type: ignore[arg-type]
    assert good is not None
    tables = {**good.tables, "netdev edge": good.tables["netdev edge"].replace("drop", "jump nowhere")}
    store.write(saved, store.GOOD, msgspec.structs.replace(good, tables=tables))  # type: ignore[arg-type]
    saved.nft("flush ruleset")
    result = restore(saved)
    assert isinstance(result.outcome, Failed)
    assert kinds(result) == ["firewall.guard_failed"]
    assert saved.ruleset() == ""


def test_a_damaged_file_restores_nothing(saved: NetnsHost) -> None:
    saved.write(f"{saved.state}/good.json", b"{")
    saved.nft("flush ruleset")
    with pytest.raises(store.Damaged):
        restore(saved)


def test_saving_names_what_it_saved(host: NetnsHost) -> None:
    host.nft(RULESET)
    result = order(GuardSave, host, who="anna")
    assert result.answer == {"tables": ["inet site", "ip nothing", "netdev edge"], "unsaved": []}
    assert result.events[0].fields["who"] == "anna"
