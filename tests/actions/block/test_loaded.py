"""Our table is loaded again when it is missing or damaged, with all that is known, and left alone when nothing needs it."""

from pathlib import Path

import pytest

from actions.block import loaded
from actions.block.block import Block
from actions.block.loaded import Mended
from actions.block.memory import of
from contracts.blocking import TABLE
from contracts.errors import Unavailable
from tests.actions.block.conftest import Net


def mend(net: Net, needs_table: bool = False) -> Mended:
    return net.host.do(lambda: loaded.mend(net.machine, of(net.machine), 1_800_000_000_000, needs_table))


def test_where_nothing_was_ever_banned_no_table_is_made(net: Net) -> None:
    assert mend(net) == Mended()
    assert net.host.run("nft", "list", "ruleset") == ""


def test_a_table_is_made_where_one_is_needed(net: Net) -> None:
    assert mend(net, needs_table=True).wrong == ("the table inet holdfast_block",)
    assert mend(net, needs_table=True) == Mended()


def test_what_a_damaged_table_still_holds_is_kept_even_if_the_file_does_not_know_it(net: Net, block: Block) -> None:
    net.act(block, address="203.0.113.7", reason="known")
    Path(net.machine.state, "bans.json").unlink()
    net.host.nft('add element inet holdfast_block banned4 { 203.0.113.8 timeout 1h comment "root|5||by hand" }')
    net.host.nft("flush chain inet holdfast_block input")
    assert mend(net).wrong == ("a rule of chain input",)
    found = {one.network: one.comment for one in net.host.do(net.machine.netfilter.elements, TABLE, "banned4")}
    assert set(found) == {"203.0.113.7", "203.0.113.8"}
    assert found["203.0.113.8"] == "root|5||by hand"


def test_lists_that_are_not_ours_are_named(net: Net) -> None:
    Path(net.machine.state, loaded.LISTS).write_text("nonsense")
    with pytest.raises(Unavailable, match="is not what Holdfast wrote"):
        mend(net)
