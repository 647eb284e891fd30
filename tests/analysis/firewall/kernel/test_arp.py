"""The switches of ARP in a real kernel: whom it leaves without an answer is what the product says of neighbours."""

import sys
import time

import msgspec
import pytest

from analysis.firewall.neighbours import hidden
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.topology import SWITCHES, World

SENDING = "import socket, sys; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', (sys.argv[1], 9))"
OWN, MAC = "10.1.0.1", "02:00:00:00:02:01"


def resolved(world: World) -> bool:
    """Say whether the neighbour `lan` finds the host's address there by ARP.

    Whoever asks for it in vain once is not answered. That it is known once is no proof: the host may have asked for another address at that
    moment, by which `lan` learns the host's own (RFC 826).
    """
    fixed = (OWN, "lladdr", MAC, "nud", "permanent", "dev", "eth0")
    try:
        return all(_known(world) for _ in range(3))
    finally:
        world.run("lan", "ip", "neighbour", "replace", *fixed)


def _known(world: World) -> bool:
    """Forget the host, send to it, and say whether its address is known then."""
    world.run("lan", "ip", "neighbour", "del", OWN, "dev", "eth0")
    world.run("lan", sys.executable, "-c", SENDING, OWN)
    for _ in range(100):
        shown = world.run("lan", "ip", "neighbour", "show", OWN)
        if "lladdr" in shown or "FAILED" in shown:
            break
        time.sleep(0.1)
    return "lladdr" in shown


def turn(world: World, **values: str) -> None:
    for name, value in values.items():
        world.run("host", "sh", "-c", f"echo {value} > /proc/sys/net/ipv4/conf/lan0/{name}")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"arp_ignore": "0"}, ""),
        ({"arp_ignore": "1"}, ""),
        ({"arp_ignore": "2"}, ""),
        ({"arp_ignore": "3"}, ""),
        ({"arp_ignore": "8"}, "arp_ignore 8 of lan0"),
        ({"arp_filter": "1"}, ""),
    ],
)
def test_who_is_not_answered_is_said_to_be_hidden(world: World, values: dict[str, str], words: str) -> None:
    assert world.loader.ask(do="load", nft="", restores=[], ipset="", routing=[], switches=SWITCHES) == {}
    turn(world, **values)
    try:
        found = hidden(read(msgspec.convert(world.loader.ask(do="rows")["rows"], dict[str, Row])), [("lan0", OWN)])
        assert found == ({("lan0", OWN): words} if words else {})
        assert resolved(world) is not bool(words)
    finally:
        turn(world, **dict.fromkeys(values, "0"))


def test_an_interface_by_which_no_answer_would_leave_is_silent_with_arp_filter(world: World) -> None:
    assert world.loader.ask(do="load", nft="", restores=[], ipset="", routing=[], switches=SWITCHES) == {}
    turn(world, arp_filter="1")
    world.run("host", "ip", "route", "add", "10.1.0.0/25", "via", "192.0.2.1")
    try:
        found = hidden(read(msgspec.convert(world.loader.ask(do="rows")["rows"], dict[str, Row])), [("lan0", OWN)])
        assert found == {("lan0", OWN): "arp_filter of lan0: the way to its neighbours is by wan0"}
        assert not resolved(world)
    finally:
        world.run("host", "ip", "route", "del", "10.1.0.0/25", "via", "192.0.2.1")
        turn(world, arp_filter="0")
