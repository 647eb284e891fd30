"""The cache of a mount: bounded by weight, each thing read once however many want it, failures not kept."""

import threading
import time

import pytest

from actions.backup.mount_cache import Cache


def test_what_was_not_asked_for_longest_goes_first() -> None:
    cache: Cache[str, bytes] = Cache(10, len)
    loads: list[str] = []

    def get(key: str) -> bytes:
        def load() -> bytes:
            loads.append(key)
            return key.encode() * 4

        return cache.get(key, load)

    for key in ("a", "b", "a", "c", "a", "b"):
        assert get(key) == key.encode() * 4
    assert (loads, cache.weight) == (["a", "b", "c", "b"], 8)


def test_what_weighs_too_much_is_given_and_not_kept() -> None:
    cache: Cache[str, bytes] = Cache(10, len)
    assert cache.get("big", lambda: bytes(11)) == bytes(11)
    assert cache.weight == 0
    cache.get("small", lambda: bytes(3))
    cache.clear()
    assert cache.weight == 0


def test_a_failure_is_not_remembered() -> None:
    cache: Cache[str, bytes] = Cache(10, len)

    def broken() -> bytes:
        raise OSError("not now")

    with pytest.raises(OSError, match="not now"):
        cache.get("a", broken)
    assert cache.get("a", lambda: b"now") == b"now"


def test_several_threads_that_want_one_thing_read_it_once() -> None:
    cache: Cache[str, bytes] = Cache(10, len)
    loads: list[int] = []

    def load() -> bytes:
        loads.append(1)
        time.sleep(0.05)
        return b"x"

    threads = [threading.Thread(target=cache.get, args=("a", load)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
