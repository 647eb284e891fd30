"""Bans against the real kernel: packets stop, flows are cut, and a ban that does not hold is found out."""

import socket

import pytest

from actions.block.block import Block
from contracts.outcome import Ok
from contracts.proof import Verb
from tests.actions.block.conftest import HOST, HOST6, INSIDE, OUTSIDE, OUTSIDE6, Net, arrivals


def kinds(result) -> list[str]:
    return [event.kind for event in result.events]


def test_packets_of_a_banned_source_stop_at_once(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5000)
    net.stream(net.outside, (OUTSIDE, 6000), (HOST, 5000))
    assert arrivals(ear, 0.3) > 10
    result = net.act(block, address=OUTSIDE, reason="it scans")
    assert result.outcome == Ok()
    arrivals(ear, 0.05)
    assert arrivals(ear, 0.3) == 0
    assert kinds(result) == ["block.address_blocked"]
    fields = result.events[0].fields
    assert fields["read_back"] is True and fields["who"] == "root" and fields["reason"] == "it scans"
    assert fields["packets_dropped"] > 10 and fields["packets_leaked"] == 0
    assert 0 < fields["milliseconds"] < 1000
    assert result.proof is not None and result.proof.verb == Verb.REFUSED


def test_an_established_connection_is_cut_on_both_sides(net: Net, block: Block) -> None:
    net.host.nft(
        "add table inet x; add chain inet x c { type filter hook input priority 0; }; add rule inet x c ct state established accept"
    )
    server = net.host.socket(socket.SOCK_STREAM, HOST, 5001, listen=True)
    client = net.outside.socket(socket.SOCK_STREAM, OUTSIDE, 6001)
    client.connect((HOST, 5001))
    held, _ = server.accept()
    client.send(b"x")
    assert held.recv(1) == b"x"
    assert len(net.host.do(net.machine.netfilter.flows, OUTSIDE)) == 1
    result = net.act(block, address=OUTSIDE)
    fields = result.events[0].fields
    assert (fields["flows_cut"], fields["sockets_closed"]) == (1, 1)
    assert net.host.do(net.machine.netfilter.flows, OUTSIDE) == []
    with pytest.raises(ConnectionAbortedError):
        held.recv(1)


def test_a_ban_covers_a_destination_that_is_translated(net: Net, block: Block) -> None:
    net.host.nft(
        "table ip n { chain p { type nat hook prerouting priority -100; ip daddr 198.51.100.1 udp dport 5002 dnat to 192.0.2.2:5003; }; }"
    )
    ear = net.inside.socket(socket.SOCK_DGRAM, INSIDE, 5003)
    net.stream(net.outside, (OUTSIDE, 6002), (HOST, 5002))
    assert arrivals(ear, 0.3) > 10
    result = net.act(block, address=OUTSIDE)
    arrivals(ear, 0.05)
    assert arrivals(ear, 0.3) == 0
    assert result.events[0].fields["flows_cut"] == 1
    assert kinds(result) == ["block.address_blocked"]


def test_an_ipv6_source_is_banned(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST6, 5004)
    net.stream(net.outside, (OUTSIDE6, 6004), (HOST6, 5004))
    assert arrivals(ear, 0.3) > 10
    net.act(block, address=OUTSIDE6)
    arrivals(ear, 0.05)
    assert arrivals(ear, 0.3) == 0


def test_a_ban_behind_an_earlier_accept_is_found_ineffective(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5005)
    net.stream(net.outside, (OUTSIDE, 6005), (HOST, 5005))
    net.act(block, address="203.0.113.1")
    net.host.run("nft", "insert", "rule", "inet", "holdfast_block", "input", "accept")
    result = net.act(block, address=OUTSIDE)
    assert arrivals(ear, 0.2) > 5
    assert kinds(result) == ["block.address_blocked", "block.found_ineffective"]
    fields = result.events[1].fields
    assert fields["packets_leaked"] > 5
    assert "`accept`" in fields["causes"][0] and "chain input" in fields["causes"][0]
    assert result.proof is None


def test_an_accept_in_another_table_does_not_shadow_a_ban(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5006)
    net.host.nft(
        "add table inet x; add chain inet x c { type filter hook input priority -300; }; add rule inet x c accept"
    )
    net.stream(net.outside, (OUTSIDE, 6006), (HOST, 5006))
    result = net.act(block, address=OUTSIDE)
    arrivals(ear, 0.05)
    assert arrivals(ear, 0.3) == 0
    assert kinds(result) == ["block.address_blocked"]


def test_an_established_flow_that_is_let_past_our_rules_is_found_out(net: Net, block: Block) -> None:
    """The host keeps sending, so the flow comes back right after it was cut, and a tampered rule lets its answers in."""
    net.act(block, address="203.0.113.1")
    net.host.run("nft", "insert", "rule", "inet", "holdfast_block", "input", "ct", "state", "established", "accept")
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5007)
    voice = net.outside.socket(socket.SOCK_DGRAM, OUTSIDE, 6007)
    voice.close()
    net.stream(net.outside, (OUTSIDE, 6007), (HOST, 5008))
    net.stream(net.host, (HOST, 5008), (OUTSIDE, 6007))
    ear.close()
    result = net.act(block, address=OUTSIDE)
    assert "block.found_ineffective" in kinds(result)
    fields = result.events[-1].fields
    assert fields["packets_leaked"] > 5
    assert any("ct state established accept" in cause for cause in fields["causes"])


def test_a_path_past_the_hooks_is_found_out(net: Net, block: Block) -> None:
    """What a flowtable does to an established flow, an ingress rule does here to every packet: it leaves again without meeting a hook."""
    ear = net.inside.socket(socket.SOCK_DGRAM, INSIDE, 5009)
    net.stream(net.outside, (OUTSIDE, 6009), (INSIDE, 5009))
    assert arrivals(ear, 0.3) > 10
    inside_mac = net.inside.run("cat", "/sys/class/net/in0/address").strip()
    net.host.nft(
        "table netdev fast { chain c { type filter hook ingress device wan0 priority 0; "
        f"udp dport 5009 ether daddr set {inside_mac} fwd to lan0; }}; }}"
    )
    result = net.act(block, address=OUTSIDE)
    arrivals(ear, 0.05)
    assert arrivals(ear, 0.3) > 10
    assert kinds(result) == ["block.address_blocked", "block.found_ineffective"]
    fields = result.events[1].fields
    assert fields["packets_leaked"] > 5
    assert "past the hooks" in fields["causes"][0] and "fwd to" in fields["causes"][0]
