"""Requests are handed on once each, whatever the blocks are."""

import pytest

from tests.collectors.traffic.detectors.crowd import Listener, http


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
