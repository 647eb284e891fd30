"""Changes reach every subscriber, and a slow one slows nobody."""

import asyncio

from console.hub import Change, Hub, Topic


async def collect(hub: Hub, into: list[Change]) -> None:
    async for change in hub.subscribe():
        into.append(change)


def test_every_subscriber_hears_every_change_until_the_hub_closes() -> None:
    async def run() -> tuple[list[Change], list[Change]]:
        hub, one, two = Hub(), [], []  # type: ignore[var-annotated]
        tasks = [asyncio.create_task(collect(hub, into)) for into in (one, two)]
        await asyncio.sleep(0)
        assert len(hub) == 2
        hub.publish(Change(topic=Topic.AGENT, agent="a"))
        hub.close()
        await asyncio.gather(*tasks)
        assert len(hub) == 0
        await collect(hub, one)
        return one, two

    one, two = asyncio.run(run())
    assert one == two == [Change(topic=Topic.AGENT, agent="a")]


def test_a_slow_subscriber_is_told_to_read_everything_anew() -> None:
    async def run() -> list[Change]:
        hub, heard = Hub(max_waiting=3), []  # type: ignore[var-annotated]
        task = asyncio.create_task(collect(hub, heard))
        await asyncio.sleep(0)
        for number in range(5):
            hub.publish(Change(topic=Topic.EVENTS, count=number))
        hub.close()
        await task
        return heard

    assert [change.topic for change in asyncio.run(run())] == [Topic.RESYNC, Topic.EVENTS]
