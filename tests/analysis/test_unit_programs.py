"""A program of a cgroup puts the listeners of the processes in it in doubt, and nobody else's."""

import json
from typing import Any

import pytest

from analysis.unit_programs import doubted, of_cgroups
from contracts.subjects.datapath import Row
from contracts.subjects.exposure import Exposure

TEXT = "BPF program 7 at ingress of web.service (IPAddressDeny=0.0.0.0/0)"


def program(place: str, unit: str = "", text: str = TEXT) -> Row:
    return Row(what="program", document=json.dumps({"kind": "cgroup", "place": place, "unit": unit}), text=text)


WAYS = {
    'program unit "web.service ingress"': program("/system.slice/web.service", "web.service"),
    "program xdp eth0": Row(what="program", document='{"mode": 1}', text="XDP"),
    "program tc eth0": Row(what="program", document="[]", text="tc"),
}


class Listener:
    def __init__(self, unit: str, container: str = "") -> None:
        self.unit, self.container = unit, container


LISTENERS: Any = {
    "web": Listener("web.service"),
    "ssh": Listener("ssh.service"),
    "bare": Listener(""),
    "session": Listener("session-3.scope"),
    "docker": Listener("docker-0123.scope", "docker:0123"),
}


def exposure(listener: str, verdict: str = "reachable") -> Exposure:
    return Exposure(
        vantage="internet", family=4, protocol="tcp", address="192.0.2.1", port=80, verdict=verdict, listener=listener
    )


def in_doubt(ways: dict[str, Row]) -> set[str]:
    rows = {name: exposure(name) for name in (*LISTENERS, "")}
    found = doubted(rows, ways, LISTENERS)
    assert all(row == rows[name] or row.unknown == (TEXT,) for name, row in found.items())
    return {name for name, row in found.items() if row.verdict == "uncertain"}


def test_only_the_units_own_listeners_are_in_doubt() -> None:
    assert in_doubt(WAYS) == {"web"}


@pytest.mark.parametrize(
    ("place", "concerned"),
    [
        ("/system.slice", {"web", "ssh", "bare", "docker"}),
        ("/user.slice", {"bare", "session"}),
        ("/machine.slice", {"docker"}),
        ("/kubepods.slice/kubepods-burstable.slice", {"docker"}),
        ("/odd.slice", set(LISTENERS)),
        ("/", set()),
    ],
)
def test_a_slice_concerns_whoever_may_be_in_it_and_the_root_is_the_evaluators(place: str, concerned: set[str]) -> None:
    assert in_doubt({"program cgroup x": program(place)}) == concerned


def test_what_is_blocked_before_stays_blocked() -> None:
    assert doubted({"a": exposure("web", "blocked")}, WAYS, LISTENERS)["a"].verdict == "blocked"


def test_without_such_programs_nothing_is_touched() -> None:
    rows = {"a": exposure("web")}
    assert doubted(rows, {}, LISTENERS) == rows


def test_both_directions_are_named_and_odd_rows_are_none() -> None:
    both = {**WAYS, 'program unit "web.service egress"': program("/system.slice/web.service", "web.service", "b")}
    assert doubted({"a": exposure("web")}, both, LISTENERS)["a"].unknown == (TEXT, "b")
    assert of_cgroups({"program unit x": Row(what="program", document="{")}) == ()
