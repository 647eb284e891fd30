"""Interfaces that are away, that stand still, whose socket complains: events and blind spots."""

from typing import Any

from collectors.traffic.output.interfaces import Interfaces
from collectors.traffic.ring import DOWN, NO_CARRIER
from contracts.coverage import Blind
from contracts.errors import Why
from tests.collectors.traffic.told import Told


class Source:
    """In the place of packet sockets."""

    def __init__(self) -> None:
        self.names = ["eth0", "eth1"]
        self.gone: list[str] = []
        self.still: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def missing(self) -> list[str]:
        return self.gone

    def standing_still(self) -> dict[str, str]:
        return self.still


class Desk:
    def __init__(self) -> None:
        self.told, self.source = Told(), Source()
        self.interfaces = Interfaces(self.told)

    def look(self, now_s: float) -> list[Blind]:
        source: Any = self.source
        self.interfaces.look(source, now_s)
        return list(self.interfaces.blind())


def test_interfaces_that_go_and_come_back() -> None:
    desk = Desk()
    desk.source.gone = ["eth0"]
    (spot,) = desk.look(1.0)
    assert spot.what == "the traffic of eth0"
    # "Not present" would say that there is nothing to look at.
    assert spot.why is not Why.NOT_PRESENT
    desk.source.gone = []
    assert desk.look(9.0) == []
    assert desk.told.kinds() == ["traffic.interface_gone", "traffic.interface_back"]
    assert desk.told.events[1].fields["seconds"] == 8.0


def test_one_that_is_down_or_without_a_carrier_is_a_blind_spot_and_told_once() -> None:
    desk = Desk()
    desk.source.still = {"eth0": DOWN, "eth1": NO_CARRIER}
    down, cable = desk.look(1.0)
    assert (down.what, down.detail) == (
        "the traffic of eth0",
        "nothing can come over it: it is administratively down",
    )
    assert "ip link set eth0 up" in down.fix and down.why is Why.OTHER
    assert cable.detail == "nothing can come over it: it is up, but has no carrier" and "cable" in cable.fix
    desk.look(2.0)
    assert [(one.kind, one.fields["interface"]) for one in desk.told.events] == [
        ("traffic.interface_down", "eth0"),
        ("traffic.interface_down", "eth1"),
    ]
    desk.source.still = {"eth0": NO_CARRIER}
    (left,) = desk.look(4.0)
    assert "no carrier" in left.detail
    assert desk.told.kinds()[2:] == ["traffic.interface_down", "traffic.interface_up"]
    assert desk.told.events[2].fields["reason"] == "it is up, but has no carrier"
    desk.source.still = {}
    assert desk.look(11.0) == []
    assert desk.told.events[-1].kind == "traffic.interface_up"
    assert desk.told.events[-1].fields == {"interface": "eth0", "seconds": 10.0}, (
        "since it went down, whatever the reason was"
    )


def test_one_that_goes_while_it_is_down_is_gone_and_one_that_comes_back_down_is_both() -> None:
    desk = Desk()
    desk.source.still = {"eth0": DOWN}
    desk.look(1.0)
    desk.source.gone, desk.source.still = ["eth0"], {}
    (spot,) = desk.look(2.0)
    assert "no interface of this name" in spot.detail
    desk.source.gone, desk.source.still = [], {"eth0": DOWN}
    (spot,) = desk.look(3.0)
    assert "down" in spot.detail
    kinds = [kind.removeprefix("traffic.interface_") for kind in desk.told.kinds()]
    assert kinds == ["down", "gone", "back", "down"]


def test_what_a_socket_complains_of_is_a_blind_spot() -> None:
    desk = Desk()
    desk.source.problems = {"eth0": "No buffer space available"}
    (spot,) = desk.look(1.0)
    assert spot.what == "all packets of eth0" and "No buffer space available" in spot.detail
    desk.source.problems = {}
    assert desk.look(2.0) == [] and not desk.told.events


def test_one_that_is_no_longer_wanted_is_not_told_as_back() -> None:
    desk = Desk()
    desk.source.gone, desk.source.still = ["eth0"], {"eth1": DOWN}
    desk.look(1.0)
    desk.source.names, desk.source.gone, desk.source.still = ["eth2"], [], {}
    assert desk.look(2.0) == []
    assert desk.told.kinds() == ["traffic.interface_gone", "traffic.interface_down"]
