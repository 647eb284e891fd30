"""What must not be cut becomes probes: sessions from their peer, console and protected addresses from this host."""

import pytest

from agent.cli import policy_targets
from agent.cli.policy_targets import Need, targets
from agent.cli.sessions import Session
from analysis.firewall.model import Datapath
from contracts.policy import Policy, Service
from tests.analysis.firewall.test_policy_model import NETWORK

POLICY = Policy(services={"ssh": Service(ports=("22",))}, protect=("203.0.113.20:2222",))
WORLD = Datapath(network=NETWORK)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Session]:
    found: list[Session] = []
    monkeypatch.setattr(policy_targets, "sessions", lambda: (tuple(found), ()))
    return found


def test_a_session_is_a_new_connection_from_its_peer_by_the_route_back(opened: list[Session]) -> None:
    opened.append(Session("anna", "203.0.113.5", "192.0.2.1", 22))
    found, notes = targets(WORLD, Policy(services=POLICY.services), ())
    (target,) = found
    assert "anna from 203.0.113.5" in target.name
    probe = target.probe
    assert (probe.source, probe.destination, probe.port, probe.interface) == ("203.0.113.5", "192.0.2.1", 22, "eth0")
    assert notes == []


def test_a_session_from_this_host_itself_cannot_be_cut(opened: list[Session]) -> None:
    opened.append(Session("anna", "127.0.0.1", "127.0.0.1", 22))
    assert targets(WORLD, Policy(services=POLICY.services), ()) == ([], [])


def test_console_and_protected_addresses_are_called_from_here(opened: list[Session]) -> None:
    found, notes = targets(WORLD, POLICY, [Need("the console", "203.0.113.80", 8444)])
    assert [(each.probe.destination, each.probe.port) for each in found] == [
        ("203.0.113.20", 2222),
        ("203.0.113.80", 8444),
    ]
    assert {(each.probe.source, each.probe.interface) for each in found} == {("192.0.2.1", "")}
    assert notes == []


def test_a_console_whose_name_does_not_resolve_is_named(opened: list[Session]) -> None:
    found, notes = targets(WORLD, Policy(services=POLICY.services), [Need("the console", "console.invalid", 8444)])
    assert found == []
    assert "console.invalid does not resolve" in notes[0]


def test_sessions_that_cannot_be_seen_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_targets, "sessions", lambda: ((), ("there are no records",)))
    assert "there are no records" in targets(WORLD, Policy(services=POLICY.services), ())[1][0]
