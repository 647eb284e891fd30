"""Retention decides as the stock restic does, over random histories in many zones, and never in a way that a person would not expect."""

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.repository import Repository
from actions.backup.retention import (
    UNLIMITED,
    Duration,
    Grouping,
    GroupKey,
    Policy,
    apply_policy,
    decide,
    parse_duration,
    parse_grouping,
)
from actions.backup.snapshot import Snapshot
from actions.backup.times import format_time
from contracts.errors import UsageError
from tests.actions.backup.conftest import PASSWORD

NS = 10**9
HOUR = 3600
DAY = 24 * HOUR
NOW = 1_795_000_000
SEED = int(os.environ.get("HOLDFAST_SEED", "20261122"))
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]


def snapshot(text: str, *, host: str = "h", tags: tuple[str, ...] = (), paths: tuple[str, ...] = ("/x",)) -> Snapshot:
    return Snapshot(time=text, tree="0" * 64, paths=list(paths), hostname=host, tags=list(tags))


@pytest.fixture
def zone() -> Iterator[object]:
    before = os.environ.get("TZ")

    def set_zone(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    yield set_zone
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    time.tzset()


def with_offset(ns: int, minutes: int) -> str:
    """The instant as a clock in another zone writes it."""
    text = format_utc(ns + minutes * 60 * NS)[:-1]
    return (
        f"{text}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
        if minutes
        else text + "Z"
    )


def format_utc(ns: int) -> str:
    seconds, rest = divmod(ns, NS)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return text + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"


def history(dice: random.Random, host: str, now_ns: int) -> list[Snapshot]:
    """One host's snapshots: regular, in bursts, over years, from zones, at changes of summer time, in the future."""
    step = dice.choice([60, HOUR, 7 * HOUR, DAY, 9 * DAY, 40 * DAY, 400 * DAY])
    start = now_ns - dice.choice([0, 0, 3 * DAY, 200 * DAY]) * NS
    if dice.random() < 0.3:  # around the end of summer time in Europe
        start = 1_792_890_000 * NS
    if dice.random() < 0.25:
        start = now_ns + 5 * step * NS
    zones = dice.choice([[None], [None], [0], [120], [None, -210, 0, 845]])
    made = []
    for number in range(dice.randrange(1, 45)):
        ns = start - number * step * NS - dice.randrange(step * NS)
        minutes = dice.choice(zones)
        text = format_time(ns) if minutes is None else with_offset(ns, minutes)
        tags = tuple(tag for tag in ("a", "b", "c") if dice.random() < 0.2)
        made.append(snapshot(text, host=host, tags=tags))
    return made


def policies(dice: random.Random) -> Iterator[tuple[Policy, list[str]]]:
    """Random policies with the words that say the same to restic."""
    words = ["last", "hourly", "daily", "weekly", "monthly", "yearly"]
    spans = ["1h", "30h", "1d", "7d", "1m", "2m15d", "1y", "1y1m1d1h", "3y", "36m", "400d"]
    while True:
        fields: dict[str, object] = {}
        arguments: list[str] = []
        for word in dice.sample(words, dice.randrange(0, 4)):
            fields[word] = dice.choice([1, 1, 2, 3, 5, 12, 100])
            arguments += [f"--keep-{word}", str(fields[word])]
        for word in dice.sample(["", *words[1:]], dice.randrange(0, 3)):
            span = dice.choice(spans)
            name = f"within_{word}" if word else "within"
            fields[name] = parse_duration(span)
            arguments += [f"--keep-{name.replace('_', '-')}", span]
        if dice.random() < 0.3:
            fields["tags"] = (("a", "b"), ("c",))
            arguments += ["--keep-tag", "a,b", "--keep-tag", "c"]
        if arguments:
            yield Policy(**fields), arguments  # type: ignore[arg-type]


def without_oldest(reasons: tuple[str, ...]) -> tuple[str, ...]:
    """What restic 0.14 says: it does not know of the oldest one yet."""
    return tuple(reason for reason in reasons if not reason.startswith("oldest "))


def ask_restic(where: Path, cache: Path, zone: str, arguments: list[str]) -> dict[str, dict[str, object]]:
    done = subprocess.run(
        ["restic", "-r", where, "--no-cache", "forget", "--dry-run", "--json", "--no-lock", *arguments],
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD, "TZ": zone, "TMPDIR": str(cache)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {group["host"]: group for group in json.loads(done.stdout)}


def test_decisions_and_reasons_are_those_of_stock_restic(
    repository: Repository, where: Path, tmp_path: Path, zone: object
) -> None:
    dice = random.Random(SEED)
    now_ns = time.time_ns()
    compared = kept = oldest = 0
    for number in range(30):
        name = ZONES[number % len(ZONES)]
        zone(name)  # type: ignore[operator]
        for made in history(dice, f"{number} {name}", now_ns):
            repository.save_snapshot(made)
    choices = policies(dice)
    for turn in range(16):
        name = ZONES[turn % len(ZONES)]
        zone(name)  # type: ignore[operator]
        policy, arguments = next(choices)
        theirs = ask_restic(where, tmp_path, name, arguments)
        ours = decide(repository.snapshots(), policy, now_ns=time.time_ns())
        assert {group.key.host for group in ours} == set(theirs)
        for group in ours:
            their = theirs[group.key.host]
            expected = {
                s["id"]: tuple(r["matches"]) for s, r in zip(their["keep"] or [], their["reasons"] or [], strict=True)
            }  # type: ignore[arg-type, call-overload]
            found = {d.id: reasons for d in group.decisions if (reasons := without_oldest(d.reasons))}
            oldest += sum(d.keep and d.id not in found for d in group.decisions)
            assert found == expected, (group.key, arguments)
            compared += len(group.decisions)
            kept += len(found)
    assert oldest, "no oldest snapshot was kept beyond what restic 0.14 keeps"
    assert 0.05 < kept / compared < 0.95, "the policies keep all or nothing: the comparison has lost its teeth"


def test_of_snapshots_of_the_same_time_as_many_stay_as_with_restic(
    repository: Repository, where: Path, tmp_path: Path
) -> None:
    now = time.time_ns() // NS
    for number in range(6):
        for copy in range(3):
            made = snapshot(format_time((now - number * DAY) * NS))
            made.username = f"copy {copy}"
            repository.save_snapshot(made)
    for policy, arguments in (
        (Policy(last=4), ["--keep-last", "4"]),
        (Policy(daily=3, last=1), ["--keep-daily", "3", "--keep-last", "1"]),
        (Policy(within_daily=Duration(days=3)), ["--keep-within-daily", "3d"]),
    ):
        theirs = ask_restic(where, tmp_path, "UTC", arguments)["h"]
        (ours,) = decide(repository.snapshots(), policy, now_ns=now * NS + NS)
        times = sorted(s["time"] for s in theirs["keep"])  # type: ignore[attr-defined]
        assert sorted(d.snapshot.time for d in ours.decisions if d.keep) == times
        again = decide(list(repository.snapshots())[::-1], policy, now_ns=now * NS + NS)
        assert again == [ours], "the order in which they come must not matter"


def test_grouping_is_that_of_restic(repository: Repository, where: Path, tmp_path: Path) -> None:
    now = time.time_ns() // NS
    for number in range(24):
        made = snapshot(
            format_time((now - number * HOUR) * NS),
            host=f"h{number % 2}",
            tags=("t", "s")[: number % 3],
            paths=("/b", "/a") if number % 4 else ("/a", "/b"),
        )
        repository.save_snapshot(made)
    for words in ("host,paths", "host", "tags", "host,tags", "", "paths,tags"):
        done = subprocess.run(
            ["restic", "-r", where, "--no-cache", "forget", "-n", "--json", "--keep-last", "2", "--group-by", words],
            env={**os.environ, "RESTIC_PASSWORD": PASSWORD, "TMPDIR": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        theirs = {
            (group["host"], tuple(group["paths"] or ()), tuple(group["tags"] or ())): {s["id"] for s in group["keep"]}
            for group in json.loads(done.stdout)
        }
        ours = decide(repository.snapshots(), Policy(last=2), now_ns=now * NS + NS, grouping=parse_grouping(words))
        assert {tuple(g.key): {d.id for d in g.decisions if d.keep} for g in ours} == theirs, words


def test_an_empty_policy_keeps_everything_and_says_so() -> None:
    (group,) = decide([("1" * 64, snapshot("2026-01-01T00:00:00Z"))], Policy(), now_ns=NOW * NS)
    assert group.decisions[0].reasons == ("policy is empty",)
    assert group.key == GroupKey("h", ("/x",), ())


def test_the_oldest_stays_until_the_count_is_used_up() -> None:
    """Two yearly snapshots are wanted, and the history is half a year long: its beginning must not be thrown away meanwhile."""
    made = [(f"{n:064x}", snapshot(f"2026-{n:02d}-01T00:00:00Z")) for n in range(1, 7)]
    decisions = apply_policy(made, Policy(yearly=2), NOW * NS)
    assert [d.reasons for d in decisions if d.keep] == [("yearly snapshot",), ("oldest yearly snapshot",)]
    assert [d.keep for d in apply_policy(made, Policy(yearly=1), NOW * NS)] == [True] + [False] * 5


def test_unlimited_keeps_all_of_a_kind() -> None:
    made = [(f"{n:064x}", snapshot(format_utc((NOW - n * 6 * HOUR) * NS))) for n in range(40)]
    kept = [d for d in apply_policy(made, Policy(daily=UNLIMITED), NOW * NS) if d.keep]
    assert len({d.snapshot.time[:10] for d in kept}) == len({s.time[:10] for _, s in made})


def test_a_snapshot_of_the_future_does_not_move_the_window() -> None:
    """restic's lesson: --keep-within counts from the newest snapshot, which must not be one of the future."""
    made = [("a" * 64, snapshot("2030-01-01T00:00:00Z")), ("b" * 64, snapshot(format_utc((NOW - HOUR) * NS)))]
    decisions = apply_policy(made, Policy(within=Duration(days=7)), NOW * NS)
    assert [d.keep for d in decisions] == [True, True]


@pytest.mark.parametrize("text", ["", "1", "d", "1w", "-1d", "1d2", "1h1d", "1d1d", "1.5d", "١d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a duration"):
        parse_duration(text)


@given(st.builds(Duration, *[st.integers(0, 999)] * 4).filter(bool))
def test_durations_read_as_they_are_written(span: Duration) -> None:
    assert parse_duration(str(span)) == span


def test_words_that_are_off_are_refused() -> None:
    with pytest.raises(UsageError, match="'hostname'"):
        parse_grouping("hostname")
    with pytest.raises(UsageError, match="keep-daily is -2"):
        Policy(daily=-2)
    assert parse_grouping("hosts,tags") == Grouping(True, False, True)


@given(
    st.lists(st.integers(0, 400 * 24), min_size=1, max_size=60),
    st.builds(Policy, *[st.integers(0, 10)] * 6).filter(lambda policy: not policy.empty),
)
def test_the_newest_always_stays_and_no_count_is_exceeded(hours: list[int], policy: Policy) -> None:
    made = [(f"{n:064x}", snapshot(format_utc((NOW - hour * HOUR) * NS))) for n, hour in enumerate(hours)]
    decisions = apply_policy(made, policy, NOW * NS + NS)
    assert sorted(d.id for d in decisions) == [id for id, _ in made]
    assert decisions[0].keep
    for word in ("last", "hourly", "daily", "weekly", "monthly", "yearly"):
        said = sum(f"{word} snapshot" in d.reasons or f"oldest {word} snapshot" in d.reasons for d in decisions)
        assert said <= getattr(policy, word)
    more = apply_policy(made, Policy(last=policy.last + 3, daily=policy.daily), NOW * NS + NS)
    fewer = apply_policy(made, Policy(last=policy.last + 1, daily=policy.daily), NOW * NS + NS)
    assert {d.id for d in fewer if d.keep} <= {d.id for d in more if d.keep}, "who keeps more never keeps less"


@given(st.integers(0, 9999), st.integers(1, 12), st.integers(1, 28))
def test_any_year_that_can_be_written_can_be_decided(year: int, month: int, day: int) -> None:
    made = [("a" * 64, snapshot(f"{year:04d}-{month:02d}-{day:02d}T12:00:00Z"))]
    policy = Policy(weekly=1, within=Duration(years=12_345, months=7), within_weekly=Duration(days=1))
    assert apply_policy(made, policy, 1 << 70)[0].reasons[-1] == "weekly within 1d"
