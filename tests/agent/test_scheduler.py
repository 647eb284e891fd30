"""The scheduler under a clock that the test turns, in steps no real clock would dare."""

import heapq
from collections import Counter
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.scheduler import Job, Scheduler

START_MS = 1_800_000_000_000


class FakeTime:
    """A clock and the loop's timers in one: `advance` runs what comes due on the way."""

    def __init__(self) -> None:
        self.now_s, self.wall_ms, self.order = 1000.0, START_MS, 0
        self.queue: list[tuple[float, int, FakeTimer]] = []

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> "FakeTimer":
        timer = FakeTimer(callback)
        self.order += 1
        heapq.heappush(self.queue, (self.now_s + delay_s, self.order, timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now_s + seconds
        while self.queue and self.queue[0][0] <= end:
            when, _, timer = heapq.heappop(self.queue)
            self.move(max(0.0, when - self.now_s))
            if timer.callback is not None:
                timer.callback()
        self.move(end - self.now_s)

    def move(self, seconds: float) -> None:
        self.now_s += seconds
        self.wall_ms += round(seconds * 1000)


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Memory(dict[str, bytes]):
    def put(self, name: str, value: bytes) -> None:
        self[name] = value


class Runs:
    def __init__(self, *jobs: Job, memory: Memory | None = None, instant: bool = True) -> None:
        self.time, self.memory = FakeTime(), Memory() if memory is None else memory
        self.seen: list[tuple[str, float]] = []
        self.instant = instant
        self.scheduler = Scheduler(self.time, self.time, self.memory, self.run, chance=lambda: 0.5)
        self.scheduler.plan(jobs)

    def run(self, name: str) -> None:
        self.seen.append((name, self.time.now_s - 1000.0))
        if self.instant:
            self.scheduler.finished(name)

    def times(self, name: str = "ports") -> list[float]:
        return [round(when, 3) for who, when in self.seen if who == name]


def test_a_job_runs_at_start_and_then_every_interval() -> None:
    runs = Runs(Job(name="ports", every_s=60))
    runs.time.advance(185)
    assert runs.times() == [0, 60, 120, 180]


def test_the_interval_is_splayed_by_five_percent() -> None:
    for chance, second in ((0.0, 57.0), (1.0, 63.0)):
        runs = Runs()
        runs.scheduler._chance = lambda chance=chance: chance
        runs.scheduler.plan([Job(name="ports", every_s=60)])
        runs.time.advance(64)
        assert runs.times() == [0, second]


def test_requests_that_come_together_make_one_run() -> None:
    runs = Runs(Job(name="ports", every_s=3000))
    runs.time.advance(10)
    for _ in range(50):
        runs.scheduler.request("ports")
        runs.time.advance(0.001)
    runs.time.advance(10)
    assert runs.times() == [0, 10.1]


def test_a_storm_of_requests_is_bounded_in_rate() -> None:
    runs = Runs(Job(name="ports", every_s=3000))
    runs.time.advance(1)
    for _ in range(1000):
        runs.scheduler.request("ports")
        runs.time.advance(0.01)
    assert 15 <= len(runs.times()) <= 22
    assert runs.times()[-1] > 10, "the last change is looked at, too"


def test_asked_for_while_it_runs_it_runs_once_more() -> None:
    runs = Runs(Job(name="ports", every_s=3000), instant=False)
    runs.time.advance(1)
    for _ in range(5):
        runs.scheduler.request("ports")
    runs.time.advance(1)
    assert len(runs.times()) == 1
    runs.scheduler.finished("ports")
    runs.time.advance(20)
    assert len(runs.times()) == 2


def test_a_job_never_overlaps_itself_and_does_not_run_back_to_back() -> None:
    runs = Runs(Job(name="ports", every_s=10), instant=False)
    runs.time.advance(35)
    assert runs.times() == [0]
    runs.scheduler.finished("ports")
    runs.time.advance(3)
    assert runs.times() == [0]
    runs.time.advance(3)
    assert runs.times() == [0, 40]


def test_a_slow_look_is_requested_less_often() -> None:
    runs = Runs(Job(name="ports", every_s=3000), instant=False)
    runs.time.advance(2)
    runs.scheduler.finished("ports")
    for _ in range(2000):
        runs.scheduler.request("ports")
        runs.time.advance(0.01)
        if runs.scheduler._entries["ports"].running and runs.time.now_s - runs.scheduler._entries["ports"].started >= 2:
            runs.scheduler.finished("ports")
    assert len(runs.times()) <= 5


def test_a_long_job_remembers_its_last_run_over_a_restart() -> None:
    memory = Memory()
    Runs(Job(name="scan", every_s=86400), memory=memory).time.advance(1)
    again = Runs(Job(name="scan", every_s=86400), memory=memory)
    again.time.advance(80000)
    assert not again.times("scan")
    again.time.advance(10000)
    assert len(again.times("scan")) == 1


def test_a_run_missed_while_stopped_is_caught_up_once() -> None:
    memory = Memory({"ran:scan": str(START_MS - 10 * 86400_000).encode()})
    runs = Runs(Job(name="scan", every_s=86400), memory=memory)
    runs.time.advance(86000)
    assert runs.times("scan") == [0]


def test_a_last_run_in_the_future_does_not_block_the_job() -> None:
    memory = Memory({"ran:scan": str(START_MS + 400 * 86400_000).encode()})
    runs = Runs(Job(name="scan", every_s=86400), memory=memory)
    runs.time.advance(86401)
    assert len(runs.times("scan")) == 1


def test_a_new_plan_leaves_the_turn_of_what_did_not_change() -> None:
    runs = Runs(Job(name="ports", every_s=60))
    runs.time.advance(50)
    runs.scheduler.plan([Job(name="ports", every_s=60), Job(name="firewall", every_s=60)])
    runs.time.advance(15)
    assert runs.times() == [0, 60]
    assert runs.times("firewall") == [50]
    runs.scheduler.plan([Job(name="ports", every_s=5)])
    runs.time.advance(100)
    assert runs.times("firewall") == [50]
    assert len(runs.times()) > 20


def test_a_step_of_the_wall_clock_does_not_touch_intervals() -> None:
    runs = Runs(Job(name="ports", every_s=60))
    runs.time.advance(30)
    runs.time.wall_ms -= 3600_000
    runs.scheduler.clock_stepped()
    runs.time.advance(60)
    runs.time.wall_ms += 7200_000
    runs.scheduler.clock_stepped()
    runs.time.advance(60)
    assert runs.times() == [0, 60, 120]


def test_what_was_asked_for_later_is_run_then_although_the_agent_is_started_anew() -> None:
    runs = Runs(Job(name="ports", every_s=120))
    runs.scheduler.request_later("ports", 50)
    runs.time.advance(20)
    anew = Runs(memory=runs.memory)
    anew.time.wall_ms = runs.time.wall_ms
    anew.scheduler.plan([Job(name="ports", every_s=120)])
    anew.time.advance(100)
    assert anew.times() == [0.0, 30.1]
    later = Runs(Job(name="ports", every_s=120), memory=runs.memory)
    later.time.advance(100)
    assert later.times() == [0.0]


def test_a_memory_of_later_runs_that_is_damaged_is_none() -> None:
    for damaged in (b"", b"\xc1", b"\x91\xa1x", b"\x80"):
        runs = Runs(Job(name="ports", every_s=120), memory=Memory({"later:ports": damaged}))
        runs.scheduler.request_later("ports", 50)
        runs.time.advance(60)
        assert runs.times() == [0.0, 50.1]


def test_no_more_later_runs_than_a_few_are_remembered() -> None:
    runs = Runs(Job(name="ports", every_s=3000))
    for delay in range(100, 120):
        runs.scheduler.request_later("ports", delay)
    assert len(runs.memory["later:ports"]) < 100
    runs.time.advance(200)
    assert runs.memory["later:ports"] == b"\x90"


def test_after_stop_nothing_runs() -> None:
    runs = Runs(Job(name="ports", every_s=60))
    runs.scheduler.stop()
    runs.scheduler.request("ports")
    runs.time.advance(500)
    assert not runs.times()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 40), st.integers(-7200_000, 7200_000)), max_size=40))
def test_whatever_is_asked_and_however_the_clock_jumps_no_job_starves_or_overlaps(
    moves: list[tuple[str, float, int]],
) -> None:
    every = {"a": 5.0, "b": 20.0, "c": 60.0}
    runs = Runs(*(Job(name=name, every_s=seconds) for name, seconds in every.items()))
    for name, wait, step in moves:
        runs.scheduler.request(name)
        runs.time.wall_ms += step
        runs.scheduler.clock_stepped()
        runs.time.advance(wait)
    elapsed = runs.time.now_s - 1000.0
    count = Counter(name for name, _ in runs.seen)
    for name, seconds in every.items():
        gaps = [after - before for before, after in zip(runs.times(name), runs.times(name)[1:], strict=False)]
        assert all(gap <= seconds + 0.01 for gap in gaps)
        assert count[name] >= int(elapsed / seconds)
