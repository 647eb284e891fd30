"""Bans against the real kernel: packets stop, flows are cut, and a ban that does not hold is found out."""

import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from actions.block.block import Block
from actions.block.options import Options
from contracts.action import Command
from contracts.blocking import TABLE
from contracts.errors import Unavailable, UsageError, Why
from contracts.outcome import Ok
from contracts.proof import Verb
from host import commands, linux
from host.dry_run import DryRun
from tests.actions.block.conftest import (
    EVENT,
    HOST,
    HOST6,
    INNER,
    INSIDE,
    NOT_SAVED,
    OUTSIDE,
    OUTSIDE6,
    Net,
    arrivals,
    arrive,
    counted,
    drain,
    full_disk,
    watch_until,
)


def kinds(result) -> list[str]:
    return [event.kind for event in result.events]


def test_packets_of_a_banned_source_stop_at_once(net: Net, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5000)
    net.stream(net.outside, (OUTSIDE, 6000), (HOST, 5000))
    arrive(ear, 11)
    watch_until(net, monkeypatch, lambda: counted(net, "matched", 11))
    result = net.act(block, address=OUTSIDE, reason="it scans")
    assert result.outcome == Ok()
    drain(ear)
    assert arrivals(ear, 0.3) == 0
    assert kinds(result) == ["block.address_blocked"]
    fields = result.events[0].fields
    assert fields["read_back"] is True and fields["who"] == "root" and fields["reason"] == "it scans"
    assert fields["packets_dropped"] > 10 and fields["packets_leaked"] == 0
    assert result.proof is not None and result.proof.verb == Verb.REFUSED


def test_the_ban_is_in_force_before_it_is_watched_and_only_that_is_timed(net: Net, block: Block) -> None:
    began = time.monotonic()
    result = net.act(block, address=OUTSIDE)
    took_ms = (time.monotonic() - began) * 1000
    assert 0 < result.events[0].fields["milliseconds"] <= took_ms - 500  # it watches for half a second


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
    arrive(ear, 11)
    result = net.act(block, address=OUTSIDE)
    drain(ear)
    assert arrivals(ear, 0.3) == 0
    assert result.events[0].fields["flows_cut"] == 1
    assert kinds(result) == ["block.address_blocked"]


def test_an_ipv6_source_is_banned(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST6, 5004)
    net.stream(net.outside, (OUTSIDE6, 6004), (HOST6, 5004))
    arrive(ear, 11)
    net.act(block, address=OUTSIDE6)
    drain(ear)
    assert arrivals(ear, 0.3) == 0


def test_a_ban_behind_an_earlier_accept_is_found_ineffective(
    net: Net, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5005)
    net.stream(net.outside, (OUTSIDE, 6005), (HOST, 5005))
    net.act(block, address="203.0.113.1")
    net.host.run("nft", "insert", "rule", "inet", "holdfast_block", "input", "accept")
    watch_until(net, monkeypatch, lambda: counted(net, "leaked", 6))
    result = net.act(block, address=OUTSIDE)
    arrive(ear, 6)
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
    drain(ear)
    assert arrivals(ear, 0.3) == 0
    assert kinds(result) == ["block.address_blocked"]


def test_an_established_flow_that_is_let_past_our_rules_is_found_out(
    net: Net, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host keeps sending, so the flow comes back right after it was cut, and a tampered rule lets its answers in."""
    net.act(block, address="203.0.113.1")
    net.host.run("nft", "insert", "rule", "inet", "holdfast_block", "input", "ct", "state", "established", "accept")
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5007)
    voice = net.outside.socket(socket.SOCK_DGRAM, OUTSIDE, 6007)
    voice.close()
    net.stream(net.outside, (OUTSIDE, 6007), (HOST, 5008))
    net.stream(net.host, (HOST, 5008), (OUTSIDE, 6007))
    ear.close()
    watch_until(net, monkeypatch, lambda: counted(net, "leaked", 6))
    result = net.act(block, address=OUTSIDE)
    assert "block.found_ineffective" in kinds(result)
    fields = result.events[-1].fields
    assert fields["packets_leaked"] > 5
    assert any("ct state established accept" in cause for cause in fields["causes"])


def test_a_path_past_the_hooks_is_found_out(net: Net, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a flowtable does to an established flow, an ingress rule does here to every packet: it leaves again without meeting a hook."""
    ear = net.inside.socket(socket.SOCK_DGRAM, INSIDE, 5009)
    net.stream(net.outside, (OUTSIDE, 6009), (INSIDE, 5009))
    arrive(ear, 11)
    inside_mac = net.inside.run("cat", "/sys/class/net/in0/address").strip()
    net.host.nft(
        "table netdev fast { chain c { type filter hook ingress device wan0 priority 0; "
        f"udp dport 5009 ether daddr set {inside_mac} fwd to lan0; }}; }}"
    )
    watch_until(net, monkeypatch, lambda: (drain(ear), arrive(ear, 11)))
    result = net.act(block, address=OUTSIDE)
    assert kinds(result) == ["block.address_blocked", "block.found_ineffective"]
    fields = result.events[1].fields
    assert fields["packets_leaked"] > 5
    assert "past the hooks" in fields["causes"][0] and "fwd to" in fields["causes"][0]


def test_a_rule_s_ban_without_a_proven_handshake_only_limits(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5010)
    net.stream(net.outside, (OUTSIDE, 6010), (HOST, 5010), 0.002)
    result = net.act(block, cause="0190", event=EVENT, address=OUTSIDE)
    assert kinds(result) == ["block.not_banned_spoofable"]
    began = time.monotonic()
    drain(ear)
    arrive(ear, 40)  # 20 at once and 10 a second pass, of 500 a second that are sent
    assert time.monotonic() - began > 1.9
    assert "limit rate over 10/second burst 20 packets" in net.host.run(
        "nft", "list", "table", "inet", TABLE.split()[-1]
    )
    assert net.host.do(net.machine.netfilter.element, TABLE, "banned4", OUTSIDE) is None


def test_a_rule_s_ban_is_timed_from_its_event(net: Net, block: Block) -> None:
    observed_ms = int(time.time() * 1000) - 500
    event = msgspec.structs.replace(EVENT, observed_ms=observed_ms)
    result = net.act(block, cause="0190", event=event, address="203.0.113.7", handshake=True)
    fields = result.events[0].fields
    assert (
        500 < fields["milliseconds"] <= time.time() * 1000 - observed_ms - 500
    )  # half a second before, and half of watching
    assert (fields["who"], fields["cause"], fields["reason"]) == ("rule", "0190", "bench.failed_login: sshd")


def test_in_the_shadow_time_a_rule_s_ban_is_only_recorded_and_a_person_s_is_real(net: Net) -> None:
    shadowed = Block(Options(watch=0.0))
    result = net.act(shadowed, cause="0190", event=EVENT, address="203.0.113.7", handshake=True)
    assert kinds(result) == ["block.would_block"]
    assert result.events[0].fields["seconds"] == 600.0
    assert "holdfast_block" not in net.host.run("nft", "list", "tables")
    assert kinds(net.act(shadowed, address="203.0.113.7")) == ["block.address_blocked"]


def test_the_shadow_time_is_counted_from_the_first_start_and_ends(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    shadowed = Block(Options(shadow=600.0, watch=0.0))
    first = net.act(shadowed, cause="0190", event=EVENT, address="203.0.113.7", handshake=True)
    real = net.machine.now
    monkeypatch.setattr(net.machine, "now", lambda: real() + timedelta(seconds=600))
    second = net.act(shadowed, cause="0190", event=EVENT, address="203.0.113.7", handshake=True)
    assert kinds(first) + kinds(second) == ["block.would_block", "block.address_blocked"]


def test_a_runaway_rule_is_capped_and_a_person_is_not(net: Net) -> None:
    capped = Block(Options(shadow=0.0, watch=0.0, max_per_minute=2))
    results = [
        net.act(capped, cause="0190", event=EVENT, address=f"203.0.113.{number}", handshake=True)
        for number in range(1, 6)
    ]
    assert [kinds(result) for result in results] == [["block.address_blocked"]] * 2 + [["block.capped"], [], []]
    assert results[2].answer["refused"] == "more than 2 bans within a minute"
    assert kinds(net.act(capped, address="203.0.113.9")) == ["block.address_blocked"]


@pytest.mark.parametrize(
    "address", [HOST, INNER, "127.0.0.1", "::1", "0.0.0.0/0", "::/0", "198.51.100.0/24", "10.0.0.0/7", "2000::/15"]
)
def test_what_must_not_be_banned_is_refused_with_its_reason_and_nothing_is_changed(
    net: Net, block: Block, address: str
) -> None:
    for cause in ("", "0190"):
        result = net.act(block, cause=cause, event=EVENT if cause else None, address=address, handshake=True)
        assert result.outcome == Ok() and kinds(result) == ["block.refused"]
        assert result.answer["refused"]
    assert net.host.run("nft", "list", "ruleset") == ""


def test_several_addresses_of_a_64_ban_the_whole(net: Net, block: Block) -> None:
    for number in (1, 2, 3):
        result = net.act(block, cause="0190", event=EVENT, address=f"2001:db8:5::{number}", handshake=True)
    assert result.events[0].fields["network"] == "2001:db8:5::/64"
    found = net.host.do(net.machine.netfilter.elements, TABLE, "banned6")
    assert [one.network for one in found] == ["2001:db8:5::/64"]


def test_the_64_of_this_host_itself_is_not_taken(net: Net, block: Block) -> None:
    for number in (11, 12, 13):
        result = net.act(block, cause="0190", event=EVENT, address=f"2001:db8::{number}", handshake=True)
    assert result.events[0].fields["network"] == "2001:db8::13"


def test_repeat_offenders_are_banned_for_longer(net: Net, block: Block) -> None:
    lengths = []
    for _ in range(3):
        result = net.act(block, cause="0190", event=EVENT, address="203.0.113.7", handshake=True)
        (element,) = net.host.do(net.machine.netfilter.elements, TABLE, "banned4")
        lengths.append(round(element.timeout_ms / 1000))
        net.host.do(net.machine.netfilter.delete, TABLE, "banned4", ["203.0.113.7"])
    assert kinds(result) == ["block.address_blocked"]
    assert lengths == [600, 3600, 86400]


def test_a_wider_ban_takes_in_those_inside_and_keeps_the_longer_time(net: Net, block: Block) -> None:
    net.act(block, address="203.0.113.7", seconds=5000.0)
    result = net.act(block, address="203.0.113.0/24", seconds=60.0)
    (element,) = net.host.do(net.machine.netfilter.elements, TABLE, "banned4")
    assert element.network == "203.0.113.0/24" and 4900 < element.left_ms / 1000 <= 5000
    assert result.answer["until_ms"] > time.time() * 1000 + 4_000_000
    again = net.act(block, address="203.0.113.9", seconds=60.0)
    assert again.answer["covered_by"] == "203.0.113.0/24" and again.events == ()


def test_a_table_that_somebody_flushed_comes_back_with_every_ban(net: Net, block: Block) -> None:
    net.act(block, address="203.0.113.7", reason="first")
    net.host.run("nft", "flush", "ruleset")
    result = net.act(block, address="203.0.113.8")
    assert kinds(result) == ["block.restored", "block.address_blocked"]
    found = net.host.do(net.machine.netfilter.elements, TABLE, "banned4")
    assert sorted(one.network for one in found) == ["203.0.113.7", "203.0.113.8"]


@pytest.mark.parametrize(
    "deed", ["flush chain inet holdfast_block sources", "add table inet holdfast_block { flags dormant; }"]
)
def test_a_damaged_table_is_mended_by_the_next_ban(net: Net, block: Block, deed: str) -> None:
    net.act(block, address="203.0.113.7")
    net.host.nft(deed)
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5011)
    net.stream(net.outside, (OUTSIDE, 6011), (HOST, 5011))
    result = net.act(block, address=OUTSIDE)
    assert kinds(result)[0] == "block.restored"
    drain(ear)
    assert arrivals(ear, 0.3) == 0
    assert len(net.host.do(net.machine.netfilter.elements, TABLE, "banned4")) == 2


def test_a_dry_run_changes_nothing(net: Net, block: Block) -> None:
    dry = DryRun(net.machine)
    command = Command(id="1", action="block", arguments={"address": "203.0.113.7"}, who="root")
    result = net.host.do(block.do, dry, command, lambda *_: None)
    assert result.summary.startswith("would block 203.0.113.7 until ")
    assert net.host.run("nft", "list", "ruleset") == ""
    assert dry.planned


@pytest.mark.parametrize(
    "arguments",
    [
        {"address": "nonsense"},
        {},
        {"address": "203.0.113.7", "seconds": -1.0},
        {"address": "203.0.113.7", "seconds": 1e12},
    ],
)
def test_what_is_no_ban_is_an_error_in_words(net: Net, block: Block, arguments: dict) -> None:
    with pytest.raises(UsageError):
        net.act(block, **arguments)
    assert net.host.run("nft", "list", "ruleset") == ""


def test_the_kernel_itself_ends_a_ban(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5012)
    net.act(block, address=OUTSIDE, seconds=5.0)
    net.stream(net.outside, (OUTSIDE, 6012), (HOST, 5012))
    assert arrivals(ear, 0.2) == 0
    arrive(ear, 6)


def test_a_ban_for_good_has_no_end(net: Net, block: Block) -> None:
    result = net.act(block, address="203.0.113.7", permanent=True)
    (element,) = net.host.do(net.machine.netfilter.elements, TABLE, "banned4")
    assert element.timeout_ms == 0 and result.answer["until_ms"] == 0
    assert result.events[0].fields["until"] == "for good"


def test_a_changed_setting_takes_effect_with_the_next_ban_and_keeps_the_others(net: Net, block: Block) -> None:
    net.act(block, address="203.0.113.7")
    result = net.act(Block(Options(shadow=0.0, watch=0.0, reject=True)), address="203.0.113.8")
    assert kinds(result) == ["block.address_blocked"]
    assert "@banned4 reject" in net.host.run("nft", "list", "chain", "inet", "holdfast_block", "sources")
    assert len(net.host.do(net.machine.netfilter.elements, TABLE, "banned4")) == 2


def test_a_rejected_source_is_told_so(net: Net) -> None:
    net.act(Block(Options(shadow=0.0, watch=0.0, reject=True)), address=OUTSIDE)
    one = net.outside.socket(socket.SOCK_DGRAM, OUTSIDE, 0)
    one.connect((HOST, 5050))
    one.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        one.recv(1)
    one.close()


def test_a_ban_that_cannot_be_saved_holds_and_says_so(net: Net, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net.machine, "write", full_disk)
    result = net.act(block, address="203.0.113.9")
    assert isinstance(result.outcome, Ok) and result.answer["effective"]
    assert "203.0.113.9" in net.host.run("nft", "list", "set", "inet", "holdfast_block", "banned4")
    assert result.answer["not_checked"] == [NOT_SAVED]
    monkeypatch.undo()
    net.act(block, address="203.0.113.10")  # the next one that can be written takes the former along
    assert b"203.0.113.9" in Path(net.machine.state, "bans.json").read_bytes()


def test_without_nft_a_first_ban_says_so_and_a_later_one_is_made_and_says_what_was_not_checked(
    net: Net, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(argv: Sequence[str], *_: object) -> None:
        raise Unavailable(Why.TOOL_MISSING, f"{argv[0]} is not installed", advice="install the package nftables")

    real = commands.run

    def without_nft(argv: Sequence[str], *rest: object) -> object:
        return missing(argv) if argv[0] == "nft" else real(argv, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(linux, "run", without_nft)
        broken.setattr(commands, "run", without_nft)
        with pytest.raises(Unavailable, match="nft is not installed"):
            net.act(block, address="203.0.113.7")
    net.act(block, address="203.0.113.7")
    net.host.run("nft", "add", "table", "inet", "x")
    with monkeypatch.context() as broken:
        broken.setattr(linux, "run", without_nft)
        broken.setattr(commands, "run", without_nft)
        result = net.act(block, address="203.0.113.8")
    assert kinds(result) == ["block.address_blocked"]
    assert result.events[0].fields["not_checked"] == ["whether our rules are reached (nft is not installed)"]
