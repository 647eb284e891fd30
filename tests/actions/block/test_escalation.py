"""Each ban of a source lasts longer, until it has kept quiet; and many addresses of one /64 are one source."""

import pytest

from actions.block.address import canonical, parse
from actions.block.escalation import counted, duration_s, widened
from actions.block.saved import Entry, Offences

STEPS = (600.0, 3600.0, 86400.0)
DAY_MS = 86_400_000


def test_every_ban_lasts_longer_and_the_last_step_stays() -> None:
    offences, lengths = None, []
    for day in range(5):
        now_ms = day * DAY_MS
        lengths.append(duration_s(offences, STEPS, now_ms, 30 * 86400.0))
        offences = counted(offences, now_ms, 30 * 86400.0)
    assert lengths == [600.0, 3600.0, 86400.0, 86400.0, 86400.0]


def test_who_kept_quiet_begins_anew() -> None:
    old = Offences(count=4, last_ms=0)
    assert duration_s(old, STEPS, 31 * DAY_MS, 30 * 86400.0) == 600.0
    assert counted(old, 31 * DAY_MS, 30 * 86400.0).count == 1


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["2001:db8::2", "2001:db8::3"], "2001:db8::/64"),
        (["2001:db8::2"], "2001:db8::1"),
        (["2001:db8::1", "2001:db8::2"], "2001:db8::1"),
        (["2001:db8:0:1::2", "2001:db8:0:1::3"], "2001:db8::1"),
        (["192.0.2.1", "192.0.2.2"], "2001:db8::1"),
    ],
)
def test_the_64_is_taken_when_several_addresses_of_it_offended(others: list[str], expected: str) -> None:
    bans = {name: Entry(since_ms=1000) for name in others}
    assert canonical(widened(parse("2001:db8::1"), bans, 2000, 60.0, 3)) == expected


def test_offences_before_the_window_do_not_count() -> None:
    bans = {"2001:db8::2": Entry(since_ms=0), "2001:db8::3": Entry(since_ms=0)}
    assert canonical(widened(parse("2001:db8::1"), bans, 120_000, 60.0, 3)) == "2001:db8::1"


def test_ipv4_and_wide_networks_stay_as_they_are() -> None:
    for name in ("192.0.2.1", "2001:db8::/48"):
        assert (
            canonical(
                widened(parse(name), {"192.0.2.2": Entry(since_ms=1), "192.0.2.3": Entry(since_ms=1)}, 2, 60.0, 2)
            )
            == name
        )
