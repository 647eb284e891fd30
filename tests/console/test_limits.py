"""Failures per source and overall, forgiven with time."""

from console.limits import MAX_SOURCES, Limiter, source_of


class Clock:
    """A monotonic clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_source_is_stopped_and_recovers_while_others_go_on() -> None:
    clock = Clock()
    limiter = Limiter(3, 10.0, 100, 1.0, clock)
    for _ in range(3):
        assert limiter.allows("a")
        limiter.count("a")
    assert not limiter.allows("a")
    assert limiter.allows("b")
    clock.now += 10.0
    assert limiter.allows("a")


def test_many_sources_together_are_stopped() -> None:
    limiter = Limiter(3, 10.0, 5, 1.0, Clock())
    for number in range(5):
        limiter.count(f"source {number}")
    assert not limiter.allows("another")


def test_memory_is_bounded() -> None:
    limiter = Limiter(3, 10.0, 10**9, 1.0, Clock())
    for number in range(MAX_SOURCES * 2 + 5):
        limiter.count(str(number))
    assert len(limiter._sources) <= MAX_SOURCES


def test_an_address_is_counted_by_what_one_person_has() -> None:
    assert source_of("192.0.2.1") == source_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert source_of("fe80::1%eth0") == "fe80::/64"
    assert source_of("") == ""
