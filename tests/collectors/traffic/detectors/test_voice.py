"""What is said: repeats and banned sources are held back, and counted."""

from msgspec.structs import replace

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.voice import REMEMBERED, Voice
from contracts.event import Severity

FOUND = Finding(
    kind=kinds.BRUTE_FORCE, subject="10.0.0.1:22/tcp", sender="203.0.113.9", severity=Severity.HIGH, forgeable=False, method="ssh",
    numbers={"failed_logins": 12.0}, limits={"failed_logins": 10.0}, window_s=60, first_ns=1, last_ns=2_000_000_000,
)  # fmt: skip


def test_the_same_is_told_again_only_after_a_while() -> None:
    voice = Voice((), 300.0)
    assert voice.say(FOUND)
    assert not voice.say(replace(FOUND, last_ns=FOUND.last_ns + 299_000_000_000))
    assert voice.say(replace(FOUND, last_ns=FOUND.last_ns + 301_000_000_000))
    assert voice.say(replace(FOUND, subject="10.0.0.2:22/tcp")), "another service is another finding"
    assert len(voice.take()) == 3 and voice.take() == []
    assert (voice.counts.told, voice.counts.repeated) == (3, 1)


def test_who_is_banned_is_not_spoken_of() -> None:
    voice = Voice((), 300.0)
    from collectors.traffic.detectors.prefixes import Prefixes

    voice.banned = Prefixes(("203.0.113.0/24",))
    assert not voice.say(FOUND)
    assert voice.say(replace(FOUND, sender="198.51.100.1"))
    assert (voice.counts.banned, voice.counts.told) == (1, 1)


def test_what_is_remembered_is_bounded() -> None:
    voice = Voice((), 300.0)
    for number in range(REMEMBERED + 10):
        voice.say(replace(FOUND, subject=str(number)))
    assert voice.counts.forgotten == 10
