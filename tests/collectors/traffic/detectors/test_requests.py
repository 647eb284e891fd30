"""Requests are handed on once each, whatever the blocks are."""

import pytest

from collectors.traffic.protocols.http2 import frames
from tests.collectors.traffic.detectors.crowd import Listener, Talk, http
from tests.collectors.traffic.protocols.http2.wire import Deflater, answered, asked, headers, settings


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_request_begins_once_and_is_answered_once(size: int) -> None:
    listener = Listener()
    requests = listener.detectors._requests
    begun: list[int] = []
    answered: list[int] = []

    def clear() -> None:
        begun.extend(requests.begun)
        answered.extend(one.status for one in requests.answered)
        requests.begun, requests.answered = [], []

    requests.clear = clear  # type: ignore[method-assign]
    listener.hear(
        http("203.0.113.9", "10.0.0.10", 0.0, ["/a", "/b", "/c"])
        + http("203.0.113.8", "10.0.0.10", 0.0, ["/d"], "404 No"),
        size,
    )
    assert len(begun) == 4
    assert sorted(answered) == [200, 200, 200, 404]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_streams_of_http2_are_requests_whatever_the_order_of_their_answers(size: int) -> None:
    listener = Listener()
    requests = listener.detectors._requests
    begun: list[int] = []
    codes: list[int] = []

    def clear() -> None:
        begun.extend(requests.begun)
        codes.extend(one.status for one in requests.answered)
        requests.begun, requests.answered = [], []
        requests._streams.clear()

    requests.clear = clear  # type: ignore[method-assign]
    there, back = Deflater(), Deflater()
    talk = Talk("203.0.113.9", "10.0.0.10", 80, 0.0).open()
    talk.ask(frames.MAGIC + settings((2, 0)) + b"".join(headers(n, there.block(asked(b"/"))) for n in (1, 3, 5)))
    for stream, status in ((5, b"401"), (1, b"200"), (3, b"404")):
        talk.answer(headers(stream, back.block(answered(status))))
    listener.hear(talk.close(), size)
    assert len(begun) == 3
    assert sorted(codes) == [200, 401, 404]
