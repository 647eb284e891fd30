"""Our own table's listing is judged: what is missing, what of others comes before our rules, whether it sleeps."""

import pytest

from actions.block import hook, table
from actions.block.block import Block
from actions.block.hook import Hook
from actions.block.saved import Saved
from tests.actions.block.conftest import Net


@pytest.fixture
def loaded(net: Net, block: Block) -> Net:
    net.host.nft(table.render(Saved()))
    return net


def look(net: Net) -> Hook:
    return net.host.do(hook.look, net.machine)


def test_our_own_table_stands(loaded: Net) -> None:
    assert look(loaded).stands


def test_no_table_is_missing(net: Net) -> None:
    assert look(net).missing == ("the table inet holdfast_block",)


@pytest.mark.parametrize(
    ("deed", "missing"),
    [
        ("flush chain inet holdfast_block input", "a rule of chain input"),
        ("flush chain inet holdfast_block sources", "a rule of chain sources"),
        (
            "flush chain inet holdfast_block late_input; delete chain inet holdfast_block late_input",
            "the chain late_input",
        ),
        ("add table inet holdfast_block { flags dormant; }", "the table sleeps (flag dormant)"),
    ],
)
def test_what_is_missing_is_named(loaded: Net, deed: str, missing: str) -> None:
    loaded.host.nft(deed)
    assert look(loaded).missing == (missing,)


@pytest.mark.parametrize(
    ("rule", "shadows"),
    [
        ("insert rule inet holdfast_block input accept", True),
        ("insert rule inet holdfast_block sources ip saddr 10.0.0.0/8 return", True),
        ("insert rule inet holdfast_block forward tcp dport 22 goto leaks", True),
        ("insert rule inet holdfast_block input counter", False),
        ("add rule inet holdfast_block input accept", False),
        ("add chain inet holdfast_block other; add rule inet holdfast_block other accept", False),
    ],
)
def test_only_what_may_let_a_packet_past_our_rules_shadows_them(loaded: Net, rule: str, shadows: bool) -> None:
    loaded.host.nft(rule)
    found = look(loaded)
    assert bool(found.shadows) is shadows and not found.missing
    if shadows:
        assert "stands before our rules in chain" in found.shadows[0] and "(handle " in found.shadows[0]
