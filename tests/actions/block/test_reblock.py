"""At the start of the agent, and after a flush, the bans come back; the shadow time begins with the first start."""

import time
from pathlib import Path

import pytest

from actions.block.block import Block
from actions.block.memory import of
from actions.block.options import Options
from actions.block.reblock import Reblock
from actions.block.saved import decode
from contracts.errors import Unavailable
from contracts.options import ActionOptions
from contracts.outcome import Ok
from tests.actions.block.conftest import EVENT, NOT_SAVED, Net, full_disk

REBLOCK = Reblock(ActionOptions())


def test_the_first_start_is_remembered_and_nothing_is_loaded(net: Net) -> None:
    before_ms = time.time() * 1000
    result = net.act(REBLOCK)
    assert result.outcome == Ok() and result.events == ()
    assert decode(Path(net.machine.state, "bans.json").read_bytes()).begun_ms >= before_ms - 1
    assert net.host.run("nft", "list", "ruleset") == ""
    again = net.act(
        Block(Options(shadow=600.0, watch=0.0)), cause="0190", event=EVENT, address="203.0.113.7", handshake=True
    )
    assert again.events[0].kind == "block.would_block"
    time.sleep(0.3)
    later = net.act(
        Block(Options(shadow=0.2, watch=0.0)), cause="0190", event=EVENT, address="203.0.113.7", handshake=True
    )
    assert later.events[0].kind == "block.address_blocked"


def test_a_flushed_firewall_gets_its_bans_back(net: Net, block: Block) -> None:
    net.act(block, address="203.0.113.7")
    net.host.run("nft", "flush", "ruleset")
    result = net.act(REBLOCK)
    assert [event.kind for event in result.events] == ["block.restored"]
    assert result.events[0].fields["bans"] == 1
    assert net.act(REBLOCK).events == ()


def test_what_comes_back_is_told_also_where_it_cannot_be_saved(
    net: Net, block: Block, monkeypatch: pytest.MonkeyPatch
) -> None:
    net.act(block, address="203.0.113.7")
    net.host.run("nft", "flush", "ruleset")
    monkeypatch.setattr(net.machine, "write", full_disk)
    memory = of(net.machine)
    memory.save(net.machine, memory.saved(net.machine))  # as a ban has left it that came meanwhile
    (event,) = net.act(REBLOCK).events
    assert event.kind == "block.restored" and event.fields["detail"].endswith(f"; but {NOT_SAVED}")
    assert "203.0.113.7" in net.host.run("nft", "list", "set", "inet", "holdfast_block", "banned4")


def test_a_begin_that_cannot_be_remembered_is_a_failure(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net.machine, "write", full_disk)
    with pytest.raises(Unavailable, match="no space left"):
        net.act(REBLOCK)


def test_a_ban_whose_time_was_over_while_the_table_was_gone_stays_away(net: Net, block: Block) -> None:
    net.act(block, address="203.0.113.7", seconds=1.0)
    net.host.run("nft", "flush", "ruleset")
    time.sleep(1.1)
    assert net.act(REBLOCK).events == ()
    assert net.host.run("nft", "list", "ruleset") == ""
