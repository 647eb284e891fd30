"""Time and ids: a step of the wall clock is noticed, and ids only ever go up."""

import uuid

import pytest

from agent.clock import Ids, StepWatch, SystemClock


class SetClock:
    def __init__(self, wall_ms: int = 1_000_000, monotonic_s: float = 50.0) -> None:
        self.wall_ms, self.monotonic_s = wall_ms, monotonic_s

    def now_ms(self) -> int:
        return self.wall_ms

    def monotonic(self) -> float:
        return self.monotonic_s


def test_time_that_passes_is_no_step() -> None:
    clock = SetClock()
    watch = StepWatch(clock)
    clock.wall_ms += 60_000
    clock.monotonic_s += 60.2
    assert watch.look() == 0.0


@pytest.mark.parametrize("step_s", [3600, -3600])
def test_a_step_is_noticed_once(step_s: int) -> None:
    clock = SetClock(wall_ms=10_000_000)
    watch = StepWatch(clock)
    clock.wall_ms += step_s * 1000
    assert watch.look() == pytest.approx(step_s)
    assert watch.look() == 0.0


def test_a_machine_that_stands_still_between_the_two_clocks_is_no_step() -> None:
    class Still(SetClock):
        still_s = 0.0

        def now_ms(self) -> int:
            wall_ms = self.wall_ms
            self.monotonic_s += self.still_s  # read, and then nothing runs for a while
            self.wall_ms += int(self.still_s * 1000)
            self.still_s = 0.0
            return wall_ms

    clock = Still()
    watch = StepWatch(clock)
    clock.still_s = 30.0
    assert watch.look() == 0.0
    clock.wall_ms += 5_000
    assert watch.look() == 5.0


def test_ids_are_uuids_of_version_seven_with_the_time() -> None:
    clock = SetClock(wall_ms=1_763_000_000_123)
    (name,) = Ids(clock).take(1)
    parsed = uuid.UUID(hex=name)
    assert (parsed.version, parsed.variant, parsed.int >> 80) == (7, uuid.RFC_4122, clock.wall_ms)


def test_ids_go_up_even_when_the_clock_goes_back_or_the_agent_restarts() -> None:
    clock = SetClock()
    ids = Ids(clock)
    names = ids.take(5000)
    clock.wall_ms -= 500_000
    names += [*ids.take(10), ids.one(), ids.one()]
    names += Ids(clock, names[-1]).take(10)
    assert names == sorted(set(names))


def test_the_system_clock_moves() -> None:
    clock = SystemClock()
    assert clock.now_ms() > 1_700_000_000_000
    assert clock.monotonic() <= clock.monotonic()
