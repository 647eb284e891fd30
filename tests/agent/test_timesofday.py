"""Times of day across clock steps, summer time, stops and restarts: neither skipped nor run twice."""

import datetime as real
import types
from collections import Counter

import pytest
import schedule
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.timesofday import TimesOfDay


class Wall:
    """What the local clock on the wall shows; `schedule` asks the same."""

    def __init__(self, moment: str) -> None:
        self.moment = real.datetime.fromisoformat(moment)

    def now(self, zone: object = None) -> real.datetime:
        return self.moment

    def go(self, **delta: float) -> None:
        self.moment += real.timedelta(**delta)


class Memory(dict[str, bytes]):
    def put(self, name: str, value: bytes) -> None:
        self[name] = value


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    made = Wall("2026-03-10T12:00:00")
    show(monkeypatch, made)
    return made


def show(monkeypatch: pytest.MonkeyPatch, wall: Wall) -> None:
    class Shown(real.datetime):
        @classmethod
        def now(cls, tz: object = None) -> real.datetime:  # type: ignore[override]
            return wall.moment

    fake = types.SimpleNamespace(datetime=Shown, timedelta=real.timedelta, time=real.time)
    monkeypatch.setattr(schedule, "datetime", fake)


def planned(wall: Wall, memory: Memory, at: str = "03:00", weekday: str = "") -> TimesOfDay:
    times = TimesOfDay(memory, wall.now)
    times.plan("backup", at, weekday)
    return times


def test_a_new_job_waits_for_its_first_time(wall: Wall) -> None:
    times = planned(wall, Memory())
    assert times.due() == []
    assert times.next_in_s() == 15 * 3600


def test_a_job_runs_once_at_its_time(wall: Wall) -> None:
    times = planned(wall, Memory())
    wall.go(hours=15)
    assert times.due() == ["backup"]
    assert times.due() == []
    wall.go(hours=24)
    assert times.due() == ["backup"]


def test_a_step_back_after_the_run_does_not_run_it_again(wall: Wall) -> None:
    times = planned(wall, Memory())
    wall.go(hours=15, minutes=1)
    assert times.due() == ["backup"]
    wall.go(hours=-1)
    times.recompute()
    assert times.due() == []
    wall.go(hours=1)
    assert times.due() == []
    wall.go(hours=24)
    assert times.due() == ["backup"]


def test_a_step_forward_over_the_time_does_not_skip_it(wall: Wall) -> None:
    times = planned(wall, Memory())
    wall.go(hours=14, minutes=30)
    assert times.due() == []
    wall.go(hours=1)
    times.recompute()
    assert times.due() == ["backup"]
    assert times.due() == []


def test_a_stop_over_the_time_is_caught_up_once(wall: Wall) -> None:
    memory = Memory()
    planned(wall, memory)
    wall.go(days=9)
    again = planned(wall, memory)
    assert again.next_in_s() == 0
    assert again.due() == ["backup"]
    assert planned(wall, memory).due() == []


def test_the_repeated_hour_in_autumn_runs_it_once(wall: Wall) -> None:
    times = planned(wall, Memory(), at="02:30")
    ran = 0
    wall.moment = real.datetime.fromisoformat("2026-10-25T01:00:00")
    times.recompute()
    times.due()
    for _ in range(24 * 60):  # 03:00 summer time becomes 02:00 winter time
        wall.go(minutes=1)
        if wall.moment == real.datetime.fromisoformat("2026-10-25T03:00:00") and ran < 2:
            wall.go(hours=-1)
            times.recompute()
        ran += len(times.due())
    assert ran == 1


def test_a_clock_that_was_a_year_ahead_does_not_block_the_job(wall: Wall) -> None:
    memory = Memory({"occurrence:backup": b"2027-03-10T03:00:00"})
    times = planned(wall, memory)
    wall.go(hours=15)
    assert times.due() == ["backup"]


def test_a_weekly_job_runs_on_its_day(wall: Wall) -> None:
    times = planned(wall, Memory(), weekday="sunday")
    ran = []
    for _ in range(15):
        wall.go(days=1)
        ran += [wall.moment.strftime("%A")] * len(times.due())
    assert ran == ["Sunday", "Sunday"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 600), st.sampled_from([0, 0, 0, 60, -60]), st.booleans()), max_size=60))
def test_every_day_the_clock_passes_is_run_once_whatever_happens(moves: list[tuple[int, int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        wall, memory = Wall("2026-03-10T12:00:00"), Memory()
        show(monkeypatch, wall)
        times = planned(wall, memory)
        start = latest = wall.moment
        runs = Counter[str]()

        def look() -> None:
            nonlocal latest
            latest = max(latest, wall.moment)
            runs.update(memory["occurrence:backup"].decode() for _ in times.due())

        for minutes, step, restart in moves:
            wall.go(minutes=minutes)
            look()
            if step:
                wall.go(minutes=step)
                look()
                times.recompute()
            if restart:
                times = planned(wall, memory)
        look()
        assert all(count == 1 for count in runs.values())
        assert len(runs) == (latest - real.timedelta(hours=3)).date().toordinal() - start.date().toordinal()
