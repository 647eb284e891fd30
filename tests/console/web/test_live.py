"""The stream that says what changed."""

import asyncio

from console.hub import Change, Topic
from console.web import live
from console.web.live import concerns, topics_of
from console.web.login_session import COOKIE


def test_a_change_is_told_by_topic_and_subject():
    assert topics_of(Change(topic=Topic.SUBJECT, agent="a", subject="ports")) == {"subject", "subject:ports"}
    assert topics_of(Change(topic=Topic.AGENT, agent="a")) == {"agent"}
    assert topics_of(Change(topic=Topic.RESYNC)) == {"*"}


def test_a_page_hears_only_of_its_server():
    assert concerns(Change(topic=Topic.EVENTS, agent="a"), "a")
    assert concerns(Change(topic=Topic.EVENTS, agent="a"), "")
    assert not concerns(Change(topic=Topic.EVENTS, agent="b"), "a")
    assert concerns(Change(topic=Topic.RESYNC), "a")


def listen(site, admin, deed, wanted=b"data:", agent=""):
    """Open a stream as `admin`, do something, and return what came until `wanted` was in it."""

    async def work():
        stream = live._stream(site.console, "ada", admin.client.cookies[COOKIE], agent)
        said = await anext(stream)
        deed()
        async with asyncio.timeout(60):
            async for part in stream:
                said += part
                if wanted in part:
                    break
        await stream.aclose()
        return said

    return site.run(work())


def test_changes_that_come_together_are_told_together(site, admin):
    def deed():
        for topic in (Topic.AGENT, Topic.EVENTS):
            site.hub.publish(Change(topic=topic, agent="a"))
        site.hub.publish(Change(topic=Topic.SUBJECT, agent="a", subject="ports"))

    said = listen(site, admin, deed)
    assert said.startswith(b"retry: ")
    assert b'event: changed\ndata: {"topics":["agent","events","subject","subject:ports"]}\n\n' in said
    assert len(site.console.streams) == 0
    site.run(asyncio.sleep(0))
    assert len(site.hub) == 0


def test_a_stream_stays_alive_with_comments_and_ends_with_its_login(site, admin, monkeypatch):
    monkeypatch.setattr(live, "COMMENT_EVERY_S", 0.05)
    assert b": still here" in listen(site, admin, lambda: None, wanted=b"still here")

    def lock_out():
        lock_out.task = asyncio.ensure_future(site.store.set_disabled("ada", True))

    assert b"event: ended" in listen(site, admin, lock_out, wanted=b"ended")


def test_a_busy_stream_notices_the_end_of_its_login_too(site, admin, monkeypatch):
    monkeypatch.setattr(live, "COMMENT_EVERY_S", 0.2)
    monkeypatch.setattr(live, "CALM_S", 0.0)

    def deed():
        async def chatter():
            for _ in range(200):
                site.hub.publish(Change(topic=Topic.AGENT, agent="a"))
                await asyncio.sleep(0.01)

        deed.task = asyncio.ensure_future(chatter())
        deed.other = asyncio.ensure_future(site.store.set_disabled("ada", True))

    assert b"event: ended" in listen(site, admin, deed, wanted=b"ended")


def test_a_stream_ends_with_the_hub(site, admin):
    async def work():
        stream = live._stream(site.console, "ada", admin.client.cookies[COOKIE], "")
        await anext(stream)
        await asyncio.sleep(0)
        site.hub.close()
        async with asyncio.timeout(60):
            return [part async for part in stream]

    assert site.run(work()) == []


def test_too_many_streams_are_refused_with_a_wait(site, admin):
    for _ in range(24):
        site.console.streams.opened("ada")
    answer = admin.get("/live")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
