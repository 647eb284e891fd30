"""The console says when an agent becomes late, down and up again."""

import asyncio
from typing import Any

from console.hub import Change, Hub
from console.pulse import Pulse
from console.store.records import State

A = "a" * 32


class Clock:
    """A clock that a test sets."""

    now = 1_000_000

    def __call__(self) -> int:
        return self.now


def test_every_change_of_state_is_published_once(beat: Any) -> None:
    async def run() -> list[str]:
        clock, hub, heard = Clock(), Hub(), []  # type: ignore[var-annotated]

        async def listen() -> None:
            async for change in hub.subscribe():
                heard.append(change)

        task = asyncio.create_task(listen())
        await asyncio.sleep(0)
        pulse = Pulse(hub, 10.0, clock)
        pulse.heard(A, beat(every_s=10.0), clock())
        for step in (0, 1, 15_000, 1000, 10_000, 1000):
            clock.now += step
            pulse.tick()
        pulse.heard(A, beat(every_s=10.0), clock())
        pulse.tick()
        pulse.duplicate(A, clock())
        pulse.tick()
        pulse.revoked(A)
        pulse.tick()
        assert pulse.counts()[State.REVOKED] == 1
        hub.close()
        await task
        return [change.state for change in heard if isinstance(change, Change)]

    assert asyncio.run(run()) == ["up", "late", "down", "up", "duplicate", "revoked"]


def test_no_period_that_an_agent_names_stops_the_clock(beat: Any) -> None:
    clock = Clock()
    pulse = Pulse(Hub(), 10.0, clock)
    for number, every_s in enumerate((1e308, float("inf"), float("nan"), -1.0, 0.0)):
        pulse.heard(f"{number:032x}", beat(every_s=every_s), clock())
    pulse.tick()
    assert pulse.counts()[State.UP] == 5
    clock.now += 2 * 3_600_000
    pulse.tick()
    assert pulse.counts()[State.DOWN] == 5
