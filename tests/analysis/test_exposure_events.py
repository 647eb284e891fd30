"""The events that the judge of exposure makes: their severity, their words, their bounds."""

import msgspec
import pytest

from analysis import exposure_events as events
from contracts.event import Severity
from contracts.subjects.exposure import Exposure
from contracts.title import title

WEB = Exposure(
    vantage="internet", family=4, protocol="tcp", address="198.51.100.5", port=8080, verdict="reachable", interface="eth0",
    process="docker-proxy", chain="ip filter DOCKER", handle=5, why="-p tcp --dport 80 -j ACCEPT",
    delivered="172.17.0.2:80", bypasses="ufw",
)  # fmt: skip


def row(**changes) -> Exposure:
    return msgspec.structs.replace(WEB, **changes)


def test_a_bypass_reads_as_one_would_say_it() -> None:
    event = events.bypass("k", [WEB], everywhere=True)
    assert (
        title(events.BYPASSES, event)
        == "Docker publishes 8080/tcp past ufw: reachable from internet, delivered to 172.17.0.2:80"
    )
    assert event.severity is Severity.HIGH
    assert events.bypass("k", [WEB], everywhere=False).severity is Severity.MEDIUM
    assert events.bypass_ended("k", WEB).fields["front_end"] == "ufw"


@pytest.mark.parametrize(
    ("chain", "process", "name"),
    [
        ("ip filter DOCKER", "", "Docker"), ("", "docker-proxy", "Docker"), ("inet netavark FORWARD", "", "Podman"),
        ("ip filter KUBE-FORWARD", "", "Kubernetes"), ("ip nat mine", "", "A translation rule"),
    ],
)  # fmt: skip
def test_the_publisher_is_told_by_the_names_it_gives(chain, process, name) -> None:
    assert events.publisher(row(chain=chain, process=process)) == name


def test_an_opening_names_all_its_families_and_the_rule() -> None:
    event = events.opened("k", [WEB, row(family=6)], everywhere=True)
    assert event.fields["families"] == ["IPv4", "IPv6"]
    assert (event.fields["chain"], event.fields["handle"]) == ("ip filter DOCKER", 5)
    assert title(events.OPENED, event).startswith("docker-proxy on tcp port 8080 became reachable from internet: ")


def test_a_nameless_process_is_said_to_be_unknown_and_a_published_port_is_one() -> None:
    assert events.opened("k", [row(process="")], everywhere=True).fields["process"] == "a published port"
    assert events.opened("k", [row(process="", delivered="")], everywhere=True).fields["process"] == "unknown process"


def test_uncertainty_names_what_is_not_known() -> None:
    event = events.uncertain("k", [row(unknown=("limit",)), row(unknown=("quota",))], everywhere=False)
    assert event.fields["unknown"] == ["limit", "quota"]
    assert event.severity is Severity.LOW


def test_a_first_look_counts_listeners_once_for_all_vantages() -> None:
    groups = [[WEB, row(family=6)], [row(vantage="lan")], [row(port=1, verdict="blocked", delivered="")]]
    event = events.first_look(groups, ["internet", "lan"])
    assert (event.fields["listeners"], event.fields["reachable"], event.fields["uncertain"]) == (2, 1, 0)
    assert title(events.FIRST_LOOK, event)


def test_too_many_are_one_as_severe_as_the_worst() -> None:
    many = [
        events.opened(f"k{number}", [row(port=number)], everywhere=number == 7) for number in range(1, events.MOST + 2)
    ]
    assert len(events.bounded(many[:-1], events.MANY_OPENED)) == events.MOST
    (told,) = events.bounded(many, events.MANY_OPENED)
    assert (told.severity, told.fields["listeners"], told.fields["examples"][0]) == (
        Severity.HIGH,
        events.MOST + 1,
        "k7",
    )
