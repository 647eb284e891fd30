"""A program of one unit's cgroup puts that unit's listeners in doubt, and nobody else's."""

import json
from typing import Any

from analysis.unit_programs import by_unit, doubted
from contracts.subjects.datapath import Row
from contracts.subjects.exposure import Exposure

TEXT = "BPF program 7 at ingress of web.service (IPAddressDeny=0.0.0.0/0)"
WAYS = {
    'program unit "web.service ingress"': Row(what="program", document=json.dumps({"unit": "web.service"}), text=TEXT),
    "program xdp eth0": Row(what="program", document="{}", text="XDP"),
}


class Listener:
    def __init__(self, unit: str) -> None:
        self.unit = unit


LISTENERS: Any = {"web": Listener("web.service"), "ssh": Listener("ssh.service"), "bare": Listener("")}


def exposure(listener: str, verdict: str = "reachable") -> Exposure:
    return Exposure(
        vantage="internet", family=4, protocol="tcp", address="192.0.2.1", port=80, verdict=verdict, listener=listener
    )


def test_only_the_units_own_listeners_are_in_doubt() -> None:
    rows = {name: exposure(name) for name in ("web", "ssh", "bare", "")}
    found = doubted(rows, WAYS, LISTENERS)
    assert found["web"].verdict == "uncertain"
    assert found["web"].unknown == (TEXT,)
    assert {name: found[name] for name in ("ssh", "bare", "")} == {name: rows[name] for name in ("ssh", "bare", "")}


def test_what_is_blocked_before_stays_blocked() -> None:
    assert doubted({"a": exposure("web", "blocked")}, WAYS, LISTENERS)["a"].verdict == "blocked"


def test_without_such_programs_nothing_is_touched() -> None:
    rows = {"a": exposure("web")}
    assert doubted(rows, {}, LISTENERS) == rows


def test_both_directions_of_a_unit_are_named() -> None:
    both = {
        **WAYS,
        'program unit "web.service egress"': Row(what="program", document='{"unit": "web.service"}', text="b"),
    }
    assert by_unit(both) == {"web.service": (TEXT, "b")}
    assert by_unit({"program unit x": Row(what="program", document="{")}) == {}
