"""A ban is lifted everywhere at once, and nothing but a person brings it back for a while."""

import socket
import time
from pathlib import Path

import pytest

from actions.block.block import Block
from actions.block.blocklist import Blocklist
from actions.block.blocklist import Options as ListOptions
from actions.block.unblock import Options, Unblock
from contracts.blocking import TABLE
from contracts.errors import UsageError
from tests.actions.block.conftest import EVENT, HOST, NOT_SAVED, OUTSIDE, Net, arrivals, arrive, drain, full_disk


@pytest.fixture
def unblock() -> Unblock:
    return Unblock(Options())


def test_packets_arrive_again_at_once(net: Net, block: Block, unblock: Unblock) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5030)
    net.stream(net.outside, (OUTSIDE, 6030), (HOST, 5030))
    net.act(block, address=OUTSIDE)
    drain(ear)
    result = net.act(unblock, address=OUTSIDE, reason="a mistake")
    arrive(ear, 6)
    (event,) = result.events
    assert event.kind == "block.lifted" and event.fields["lifted"] == [f"ban of {OUTSIDE}"]
    assert net.host.do(net.machine.netfilter.elements, TABLE, "banned4") == []


def test_what_was_lifted_is_told_also_where_it_cannot_be_saved(
    net: Net, block: Block, unblock: Unblock, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.act(block, address="203.0.113.7")
    monkeypatch.setattr(net.machine, "write", full_disk)
    result = net.act(unblock, address="203.0.113.7")
    assert [event.kind for event in result.events] == ["block.lifted"] and result.summary.endswith(f"; but {NOT_SAVED}")
    assert net.host.do(net.machine.netfilter.elements, TABLE, "banned4") == []


def test_a_rule_cannot_ban_it_again_while_it_sticks_and_a_person_can(net: Net, block: Block, unblock: Unblock) -> None:
    net.act(block, address="203.0.113.7")
    net.act(unblock, address="203.0.113.7", seconds=5.0)
    refused = net.act(block, cause="0190", event=EVENT, address="203.0.113.7", handshake=True)
    assert refused.answer["refused"] == "root unbanned it, and that sticks for a while"
    time.sleep(5.1)
    again = net.act(block, cause="0190", event=EVENT, address="203.0.113.7", handshake=True)
    assert again.events[0].kind == "block.address_blocked"


def test_a_person_s_ban_ends_the_sticking(net: Net, block: Block, unblock: Unblock) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5031)
    net.stream(net.outside, (OUTSIDE, 6031), (HOST, 5031))
    net.act(block, address=OUTSIDE)
    net.act(unblock, address=OUTSIDE)
    net.act(block, address=OUTSIDE)
    drain(ear)
    assert arrivals(ear, 0.3) == 0


def test_one_address_of_a_banned_network_and_of_a_list_passes_and_the_others_do_not(
    net: Net, block: Block, unblock: Unblock, tmp_path: Path
) -> None:
    file = tmp_path / "list.txt"
    file.write_text("198.51.100.2/31\n")
    net.act(Blocklist(ListOptions(lists={"x": str(file)})))
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5032)
    net.stream(net.outside, (OUTSIDE, 6032), (HOST, 5032))
    assert arrivals(ear, 0.2) == 0
    result = net.act(unblock, address=OUTSIDE)
    arrive(ear, 6)
    assert result.answer["wider"] == ["blocklist of 198.51.100.2/31"]


def test_a_limit_is_lifted_too(net: Net, block: Block, unblock: Unblock) -> None:
    net.act(block, cause="0190", event=EVENT, address="203.0.113.7")
    result = net.act(unblock, address="203.0.113.7")
    assert result.answer["lifted"] == ["limit of 203.0.113.7"]


def test_what_was_not_banned_is_said_to_be_so(net: Net, unblock: Unblock) -> None:
    result = net.act(unblock, address="203.0.113.7", seconds=0.0)
    assert result.summary == "203.0.113.7 was not banned" and result.events == ()


@pytest.mark.parametrize("arguments", [{"address": "x"}, {"address": "203.0.113.7", "seconds": -1.0}])
def test_what_makes_no_sense_is_an_error_in_words(net: Net, unblock: Unblock, arguments: dict) -> None:
    with pytest.raises(UsageError):
        net.act(unblock, **arguments)
