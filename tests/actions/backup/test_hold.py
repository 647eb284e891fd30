"""Holds: what an attacker who may only add can do to a policy, and what an honest history must not be stopped for."""

import time

import msgspec
import pytest

from actions.backup.hold import Facts, Held, Limits, Reviewed, review
from actions.backup.retention import Decision, Group, GroupKey, Policy, decide
from actions.backup.snapshot import Snapshot

NS = 10**9
DAY = 86400
NOW = 1_795_000_000
KEY = GroupKey("h", ("/x",), ())


def snapshot(seconds: int, size: int | None = None) -> Snapshot:
    text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    summary = {} if size is None else {"total_bytes_processed": size}
    return Snapshot(time=text, tree="0" * 64, paths=["/x"], hostname="h", summary=summary)


def daily(count: int, size: int | None = None) -> list[tuple[str, Snapshot]]:
    """One snapshot a day; the newest an hour ago with id 000…0."""
    return [(f"{number:064x}", snapshot(NOW - 3600 - number * DAY, size)) for number in range(count)]


def reviewed(
    made: list[tuple[str, Snapshot]],
    facts: Facts | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> Reviewed:
    groups = decide(made, policy or Policy(daily=7, last=2), now_ns=NOW * NS)
    return review(groups, facts or Facts(), NOW * NS, limits)


def reasons(*arguments: object, **words: object) -> str:
    return "; ".join(reviewed(*arguments, **words).holds.get(KEY, ()))  # type: ignore[arg-type]


def test_an_honest_history_is_not_held() -> None:
    found = reviewed(daily(30, size=5_000_000))
    assert found.holds == {}
    assert len(found.removable()) == 23
    found.refuse_when_held()


def test_a_held_group_loses_nothing_and_says_what_to_do() -> None:
    found = reviewed(daily(30), Facts(unproved=frozenset([f"{0:064x}"])))
    assert found.removable() == []
    with pytest.raises(
        Held, match=r"retention is held for h /x: the newest good snapshot 00000000 .* is not proved"
    ) as caught:
        found.refuse_when_held()
    assert "holdfast backup diff" in caught.value.advice


def test_another_group_is_not_held_for_it() -> None:
    other = [(f"{900 + n:064x}", s) for n, (_, s) in enumerate(daily(20))]
    for _, made in other:
        made.hostname = "other"
    found = reviewed([*daily(30), *other], Facts(unproved=frozenset([f"{0:064x}"])))
    assert set(found.holds) == {KEY}
    assert len(found.removable()) == 13
    assert all(int(id, 16) >= 900 for id in found.removable())


def test_where_nothing_would_go_nothing_is_held() -> None:
    assert reviewed(daily(5), Facts(unproved=frozenset(id for id, _ in daily(5)))).holds == {}


@pytest.mark.parametrize(("ahead", "held"), [(-60, False), (300, False), (900, True), (400 * DAY, True)])
def test_snapshots_dated_in_the_future(ahead: int, held: bool) -> None:
    said = reasons([("f" * 64, snapshot(NOW + ahead)), *daily(30)])
    assert ("dated in the future" in said) is held
    assert ("ffffffff" in said) is held


def test_an_old_unproved_snapshot_does_not_matter() -> None:
    assert reasons(daily(30), Facts(unproved=frozenset([f"{3:064x}"]))) == ""


def test_the_newest_good_one_is_behind_those_under_suspicion() -> None:
    facts = Facts(
        unproved=frozenset([f"{1:064x}"]), anomalies={f"{0:064x}": "93 % of the files changed, entropy 5.1 to 7.9"}
    )
    said = reasons(daily(30), facts)
    assert "newest good snapshot 00000000" in said
    assert "deviates: 93 % of the files changed" in said
    assert reasons(daily(30), Facts(anomalies={f"{20:064x}": "long ago"})) == ""
    everything = Facts(anomalies={id: "encrypted" for id, _ in daily(30)})
    assert "every snapshot is under suspicion" in reasons(daily(30), everything)


@pytest.mark.parametrize(
    ("size", "held"), [(100_000_000, False), (60_000_000, False), (40_000_000, True), (0, True), (310_000_000, True)]
)
def test_a_last_snapshot_out_of_line_in_size(size: int, held: bool) -> None:
    made = daily(30, size=100_000_000)
    made[1] = (made[1][0], snapshot(NOW - 3600 - DAY, size))
    assert ("bytes, where 100000000 are usual" in reasons(made)) is held


def test_sizes_of_the_caller_go_before_those_of_the_snapshot() -> None:
    made = daily(30, size=100_000_000)
    assert reasons(made, Facts(sizes={made[0][0]: 1})) != ""
    assert reasons(daily(30), Facts(sizes={id: 7 for id, _ in made})) == ""


def test_a_flood_that_would_count_out_the_good_ones() -> None:
    flood = [(f"{100 + n:064x}", snapshot(NOW - n * 60)) for n in range(20)]
    said = reasons([*flood, *daily(30)], policy=Policy(last=14))
    assert "21 snapshots within a day, where at most 1 were made" in said


def test_hourly_snapshots_are_no_flood() -> None:
    hourly = [(f"{n:064x}", snapshot(NOW - n * 3600)) for n in range(24 * 30)]
    assert reasons(hourly, policy=Policy(hourly=48, daily=7)) == ""


def test_the_first_days_are_no_flood() -> None:
    tries = [(f"{n:064x}", snapshot(NOW - n * 600)) for n in range(30)]
    assert reasons(tries, policy=Policy(last=5)) == ""


def test_snapshots_dated_days_before_they_arrived() -> None:
    """restic's lesson: rubbish dated back takes the place of the good snapshots of those days."""
    made = daily(30)
    arrived = {id: s.time_ns + 3600 * NS for id, s in made}
    assert reasons(made, Facts(arrived_ns=arrived)) == ""
    arrived[made[9][0]] = NOW * NS
    assert "1 snapshot is dated days before they arrived" in reasons(made, Facts(arrived_ns=arrived))


def test_a_policy_that_keeps_nothing_of_a_group() -> None:
    assert "keeps none of 30 snapshots" in reasons(daily(30), policy=Policy(tags=(("nobody",),)))


def test_what_is_pinned_stays() -> None:
    found = reviewed(daily(30), Facts(pinned={f"{25:064x}": "the last good one before the anomaly"}))
    assert f"{25:064x}" not in found.removable()
    (decision,) = (d for d in found.groups[0].decisions if d.id == f"{25:064x}")
    assert decision.reasons == ("pinned: the last good one before the anomaly",)


def test_limits_can_be_set() -> None:
    ahead = [("f" * 64, snapshot(NOW + 900)), *daily(30)]
    assert reasons(ahead, limits=Limits(future_s=1000)) == ""


def test_a_group_of_one_is_decided() -> None:
    group = Group(KEY, (Decision("a" * 64, snapshot(NOW), ()),))
    assert review([group], Facts(), NOW * NS).holds[KEY] == ("the policy keeps none of 1 snapshots",)


def test_while_a_suspicion_stands_everything_is_held_even_where_nothing_would_go() -> None:
    found = reviewed(daily(2, size=5_000_000), Facts(standing="an anomaly is suspected"))
    assert found.holds[KEY] == ("an anomaly is suspected",)


def test_a_snapshot_that_is_marked_as_suspected_holds_until_a_person_cleared_it() -> None:
    made = daily(30, size=5_000_000)
    made[1] = (made[1][0], msgspec.structs.replace(made[1][1], tags=["suspected"]))
    assert "marked as suspected" in reasons(made)
    assert reasons(made, Facts(cleared=frozenset({made[1][0]}))) == ""
