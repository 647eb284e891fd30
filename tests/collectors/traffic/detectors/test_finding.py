"""A finding explains itself, and becomes an event that accuses only whom a handshake proves."""

from msgspec.structs import replace

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.finding import endpoint
from contracts.title import title
from tests.collectors.traffic.detectors.test_voice import FOUND


def test_the_explanation_has_every_number_beside_its_limit() -> None:
    found = replace(FOUND, numbers={"ports": 1430.0, "refused": 12.5}, limits={"ports": 20.0})
    assert found.explanation() == "1,430 ports (limit 20), 12.50 refused, in 60 s"


def test_one_of_something_is_singular() -> None:
    found = replace(
        FOUND, numbers={"failed_logins": 1.0, "tries_without_a_session": 1.0, "tried": 1.0, "hosts": 2.0}, limits={}
    )
    assert found.explanation() == "1 failed login, 1 try without a session, 1 tried, 2 hosts, in 60 s"


def test_the_event_says_whom_and_how_sure() -> None:
    event = FOUND.event("eth0", blocking=True, repeats=3)
    assert (event.kind, event.key, event.repeats) == ("traffic.logins_guessed", "203.0.113.9", 3)
    assert (event.fields["offender"], event.fields["proven"], event.fields["blocking"]) == ("203.0.113.9", True, True)
    assert event.observed_ms == 2000 and event.fields["interface"] == "eth0"
    assert "12 failed logins (limit 10), in 60 s" in title(FOUND.kind, event)


def test_a_forged_sender_is_named_but_not_accused() -> None:
    event = replace(FOUND, forgeable=True).event(blocking=True)
    assert event.key == "10.0.0.1:22/tcp", "the victim's service"
    assert (event.fields["source"], event.fields["offender"]) == ("203.0.113.9", "")
    assert (event.fields["proven"], event.fields["blocking"]) == (False, False)


def test_victims_and_users_are_never_accused() -> None:
    for kind in (kinds.PLAINTEXT, kinds.LOAD_SHARE, kinds.AMPLIFICATION, kinds.BEACON):
        assert replace(FOUND, kind=kind).event(blocking=True).fields["blocking"] is False


def test_floods_of_one_host_by_different_means_are_different() -> None:
    flood = replace(FOUND, kind=kinds.FLOOD, forgeable=True)
    assert replace(flood, method="UDP").key != replace(flood, method="ICMP").key


def test_services_are_written_with_port_and_protocol() -> None:
    assert endpoint(4, 0, 0x0A000001, 22, 6) == "10.0.0.1:22/tcp"
    assert endpoint(6, 0x20010DB8 << 32, 1, 53, 17) == "[2001:db8::1]:53/udp"
    assert endpoint(4, 0, 0x0A000001) == "10.0.0.1"
