"""Who is to blame, what is proven, and how an alert reads."""

import pytest

from collectors.traffic.output.events import Home, event, offender, proven, techniques
from collectors.traffic.rules.engine.verdicts import Alert
from collectors.traffic.rules.language.variables import Variables
from tests.collectors.traffic.rules.engine import scene

NEEDLE = 'alert udp any any -> any any (msg:"n"; content:"needle"; {more} sid:5;)'


def alert(more: str = "") -> Alert:
    (found,) = scene.alerts([scene.udp(b"a needle")], NEEDLE.format(more=more))
    return found


def text(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def home(networks: str) -> Home:
    return Home(Variables({"HOME_NET": networks}))


def test_the_end_outside_is_to_blame_else_the_sender_and_target_names_the_victim() -> None:
    found = alert()
    source, destination = found.packet.source, found.packet.destination
    assert offender(found, home(text(destination)))[1] == source
    assert offender(found, home(text(source)))[1] == destination, "our own host's packet to somebody outside"
    assert offender(found, home("any"))[1] == offender(found, home("203.0.113.0/24"))[1] == source
    assert offender(alert("target:src_ip;"), home("any"))[1] == destination
    assert offender(alert("target:dest_ip;"), home(text(source)))[1] == source


def test_a_datagram_proves_nothing_and_severity_is_the_priority_s() -> None:
    found = alert("priority:4; metadata:mitre_technique_id T1071_004, mitre_technique_id nonsense;")
    assert not proven(found.packet)
    made = event(found, home("any"), "eth0", "", blocks=True)
    assert made.severity == 1 and "capture" not in made.fields and made.fields["blocking"] is False
    assert techniques(found.rule) == ["T1071.004"]


@pytest.mark.parametrize(
    ("accepted", "established", "expected"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_only_what_an_established_session_took_is_proven(accepted: bool, established: bool, expected: bool) -> None:
    rule = 'alert tcp any any -> any any (msg:"t"; flow:established; content:"needle"; sid:6;)'
    (found, *_) = scene.alerts(scene.Talk().ask(b"a needle in a stream").answer(b"so").packets, rule)
    assert proven(found.packet), "the handshake of both sides was seen"
    found.packet.accepted, found.packet.established = accepted, established
    assert proven(found.packet) is expected
