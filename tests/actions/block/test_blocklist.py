"""Blocklists against the real kernel: loaded whole or not at all, by difference, and never against this host."""

import socket
import time
from pathlib import Path

import pytest

from actions.block.allow import Allow
from actions.block.block import Block
from actions.block.blocklist import Blocklist, Options
from actions.block.reblock import Reblock
from contracts.blocking import TABLE
from contracts.errors import UsageError
from contracts.options import ActionOptions
from contracts.outcome import Failed, Ok
from tests.actions.block.conftest import HOST, OUTSIDE, Net, arrivals, arrive, drain


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    file = tmp_path / "drop.txt"
    file.write_text(f"; Spamhaus\n{OUTSIDE} ; SBL1\n203.0.113.0/24 ; SBL2\n2001:db8:7::/48\n")
    return file


@pytest.fixture
def lists(drop: Path) -> Blocklist:
    return Blocklist(Options(lists={"drop": str(drop)}))


def held(net: Net) -> list[str]:
    found = [
        one for version in (4, 6) for one in net.host.do(net.machine.netfilter.elements, TABLE, f"listed{version}")
    ]
    return [f"{one.network}-{one.last}" if one.last else one.network for one in found]


def test_what_is_listed_is_dropped(net: Net, lists: Blocklist) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5020)
    net.stream(net.outside, (OUTSIDE, 6020), (HOST, 5020))
    arrive(ear, 6)
    result = net.act(lists)
    assert result.outcome == Ok()
    fields = result.events[0].fields
    assert (fields["networks"], fields["added"], fields["lists"]) == (3, 3, ["drop: 3"])
    drain(ear)
    assert arrivals(ear, 0.3) == 0


def test_a_second_load_changes_only_what_differs(net: Net, lists: Blocklist, drop: Path) -> None:
    net.act(lists)
    drop.write_text("203.0.113.0/24\n198.18.0.0/15\n")
    result = net.act(lists)
    assert (result.answer["added"], result.answer["removed"]) == (1, 2)
    assert held(net) == ["198.18.0.0/15", "203.0.113.0/24"]
    again = net.act(lists)
    assert (again.answer["added"], again.answer["removed"]) == (0, 0)


def test_what_this_host_needs_is_left_out_and_said(net: Net, lists: Blocklist, drop: Path) -> None:
    drop.write_text(f"203.0.113.9\n{HOST}\n127.0.0.0/8\n")
    result = net.act(lists)
    assert held(net) == ["203.0.113.9"]
    assert len(result.events[0].fields["skipped"]) == 2
    assert f"{HOST} holds {HOST}" in result.events[0].fields["skipped"]


def test_what_is_allowed_is_not_listed(net: Net, lists: Blocklist) -> None:
    net.act(Allow(ActionOptions()), address="203.0.113.7", owner="ops", reason="office")
    result = net.act(lists)
    assert "203.0.113.0/24" not in held(net) and result.answer["skipped"] == ["203.0.113.0/24 holds 203.0.113.7"]


@pytest.mark.parametrize(
    "content", [b"203.0.113.1\nnonsense\n", b"\0" * 4096, b"0.0.0.0/0\n", b"x" * (1 << 20), b"203.0.113.1\n\xff"]
)
def test_a_hostile_list_is_refused_whole_and_the_last_good_one_stays(
    net: Net, lists: Blocklist, drop: Path, content: bytes
) -> None:
    net.act(lists)
    before = held(net)
    drop.write_bytes(content)
    result = net.act(lists)
    assert isinstance(result.outcome, Failed)
    assert [event.kind for event in result.events] == ["block.list_refused"]
    assert held(net) == before


def test_a_list_of_millions_of_lines_is_refused_in_short_time(net: Net, drop: Path) -> None:
    drop.write_text(
        "\n".join(f"{number % 200 + 11}.{number >> 8 & 255}.{number & 255}.1" for number in range(2_000_000))
    )
    small = Blocklist(Options(lists={"drop": str(drop)}, max_networks=1000))
    started = time.process_time()
    result = net.act(small)
    assert time.process_time() - started < 10
    assert "more than 1000 networks" in str(result.outcome)
    assert net.host.run("nft", "list", "ruleset") == ""


def test_a_file_that_is_not_there_is_refused_and_the_other_list_loads(net: Net, drop: Path) -> None:
    two = Blocklist(Options(lists={"gone": "/nowhere/at/all", "drop": str(drop)}))
    result = net.act(two)
    assert isinstance(result.outcome, Failed) and "gone: /nowhere/at/all does not exist" in result.outcome.error
    assert len(held(net)) == 3


def test_lists_that_are_no_longer_configured_are_unloaded_and_do_not_come_back(
    net: Net, lists: Blocklist, block: Block
) -> None:
    net.act(lists)
    assert held(net)
    none = Blocklist(Options())
    assert net.act(none, cause="e1").answer["removed"] > 0
    assert held(net) == []
    assert net.act(none, cause="e2").summary == ""  # nothing is left to be done or said
    net.act(lists)
    net.host.nft("flush ruleset")
    net.act(none, cause="e3")  # the kernel had none of them, the file had
    net.act(block, address="203.0.113.9")
    assert held(net) == []


def test_without_lists_a_person_is_told_how_to_name_one(net: Net) -> None:
    with pytest.raises(UsageError, match=r"no blocklist is configured; name files under actions\.blocklist\.lists"):
        net.act(Blocklist(Options()))


def test_lists_come_back_with_the_bans_when_the_firewall_was_flushed(net: Net, lists: Blocklist, block: Block) -> None:
    net.act(lists)
    net.act(block, address="198.18.0.1")
    net.host.run("nft", "flush", "ruleset")
    result = net.act(Reblock(ActionOptions()))
    assert [event.kind for event in result.events] == ["block.restored"]
    assert len(held(net)) == 3
    assert net.host.do(net.machine.netfilter.element, TABLE, "banned4", "198.18.0.1") is not None
