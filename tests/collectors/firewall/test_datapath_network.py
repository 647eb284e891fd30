"""Links, routes, rules and switches as the tools state them, and what follows where they do not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.firewall import datapath_network
from collectors.firewall.datapath_rows import Sheet
from contracts.errors import Unavailable, Why
from contracts.host import Completed


def look(netns: Any, max_routes: int = 1000) -> Sheet:
    sheet = Sheet({})
    datapath_network.read(netns, sheet, max_routes)
    return sheet


def keys(sheet: Sheet, start: str) -> list[str]:
    return [key for key in sheet.rows if key.startswith(start)]


def test_more_routes_than_the_limit_are_not_all_read_and_that_is_said(netns) -> None:
    for number in range(5):
        netns.run("ip", "route", "add", "blackhole", f"192.0.2.{number}/32")
    sheet = look(netns, max_routes=3)
    assert sheet.rows["route 4"].unread == "5 routes, more than 3"
    assert len(keys(sheet, "route 4 ")) == 3
    (spot,) = sheet.spots()
    assert spot.what == "2 IPv4 routes, so that exposure is uncertain"


def test_equal_routes_in_one_table_are_rows_of_their_own(netns) -> None:
    for metric in ("10", "20"):
        netns.run("ip", "route", "add", "blackhole", "192.0.2.0/24", "metric", metric)
    assert keys(look(netns), "route 4 192") == ["route 4 192.0.2.0/24", "route 4 192.0.2.0/24 2"]


def test_life_times_and_timers_are_no_part_of_a_link(netns) -> None:
    netns.run("ip", "link", "add", "br0", "type", "bridge")
    netns.run("ip", "addr", "add", "192.0.2.1/24", "dev", "br0", "valid_lft", "1000", "preferred_lft", "900")
    netns.run("ip", "link", "set", "br0", "up")
    netns.run("ip", "-6", "route", "add", "2001:db8::/64", "dev", "br0", "expires", "500")
    first = look(netns).rows
    document = first["link br0"].document
    assert "_timer" not in document
    assert "life_time" not in document
    assert "expires" not in next(row.document for key, row in first.items() if "2001:db8::/64" in key)


def test_a_host_that_was_started_without_ipv6_has_no_blind_spot_for_it(netns) -> None:
    missing = Unavailable(Why.NOT_PRESENT, "/proc/sys/net/ipv6/conf does not exist")
    netns.overlay["/proc/sys/net/ipv6/conf"] = missing
    sheet = look(netns)
    assert sheet.spots() == ()
    assert not keys(sheet, "switch net.ipv6.conf")
    assert not any("-6" in argv for argv in netns.asked)


def test_a_kernel_that_refuses_ipv6_when_asked_has_none(netns) -> None:
    ask = netns.ask

    def refuse(*argv: str, **limits: Any) -> Completed:
        if "-6" in argv:
            stderr = b"RTNETLINK answers: Operation not supported\nDump terminated"
            return Completed(argv=argv, code=2, stdout=b"", stderr=stderr)
        return ask(*argv, **limits)  # type: ignore[no-any-return]

    netns.ask = refuse
    assert look(netns).spots() == ()


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (Unavailable(Why.TOOL_MISSING, "ip is not installed"), Why.TOOL_MISSING),
        (
            Completed(argv=("ip",), code=255, stdout=b"", stderr=b'Option "-j" is unknown, try "ip -help".'),
            Why.INCOMPATIBLE,
        ),
        (Completed(argv=("ip",), code=1, stdout=b"", stderr=b"Cannot open netlink socket"), Why.OTHER),
        (Completed(argv=("ip",), code=0, stdout=b"[{", stderr=b""), Why.MALFORMED),
        (Completed(argv=("ip",), code=0, stdout=b"[7]", stderr=b""), Why.MALFORMED),
    ],
)
def test_what_ip_cannot_say_is_named_with_what_follows(netns, failure, why) -> None:
    netns.broken["ip"] = failure
    sheet = look(netns)
    spots = sheet.spots()
    assert {spot.why for spot in spots} == {why}
    assert all("so that exposure is uncertain" in spot.what and spot.fix for spot in spots)
    assert sheet.rows["link"].unread
    assert sheet.rows["routing-rule 6"].unread


def test_switches_that_are_hidden_are_a_blind_spot(netns) -> None:
    netns.overlay["/proc/sys/net/ipv4/ip_forward"] = Unavailable(Why.PERMISSION, "may not be read", advice="let it")
    (spot,) = look(netns).spots()
    assert spot.what == "1 switches of the network (sysctl), so that exposure is uncertain"


def test_a_name_that_is_no_text_is_escaped() -> None:
    class Tools:
        def __init__(self) -> None:
            self.commands = self

        def ask(self, *argv: str, max_bytes: int = 0) -> Completed:
            body = b'[{"ifname":"e\xff"}]' if "addr" in argv else b"[]"
            return Completed(argv=argv, code=0, stdout=body, stderr=b"")

    (entry,) = datapath_network._ask(Tools(), "-j", "-d", "addr")  # type: ignore[arg-type]
    assert datapath_network._entry(entry) == {"ifname": "e\\xff"}


@given(
    st.dictionaries(
        st.sampled_from(["dst", "dev", "table", "priority", "src", "metric", "nexthops"]),
        st.none() | st.integers(0, 9) | st.text(max_size=3) | st.lists(st.integers(0, 3), max_size=2),
    )
)
def test_no_route_is_too_odd(entry: dict[str, Any]) -> None:
    sheet = Sheet({})
    for _ in range(2):
        datapath_network._put(sheet, "route", ("4",), entry)
    assert len(sheet.rows) == (2 if entry else 0)
    assert all(json.loads(row.document) == entry for row in sheet.rows.values())
