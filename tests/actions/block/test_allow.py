"""What is allowed cannot be banned, by anybody, until that ends."""

import socket
import time

import pytest

from actions.block.allow import Allow, Disallow
from actions.block.block import Block
from contracts.blocking import TABLE
from contracts.errors import UsageError
from contracts.options import ActionOptions
from tests.actions.block.conftest import HOST, NOT_SAVED, OUTSIDE, Net, arrive, drain, full_disk

ALLOW, DISALLOW = Allow(ActionOptions()), Disallow(ActionOptions())


def test_allowing_ends_a_ban_and_keeps_the_next_away(net: Net, block: Block) -> None:
    ear = net.host.socket(socket.SOCK_DGRAM, HOST, 5040)
    net.stream(net.outside, (OUTSIDE, 6040), (HOST, 5040))
    net.act(block, address=OUTSIDE)
    drain(ear)
    result = net.act(ALLOW, address=OUTSIDE, owner="ops", reason="office")
    arrive(ear, 6)
    assert [event.kind for event in result.events] == ["block.allowed"]
    refused = net.act(block, address=OUTSIDE)
    assert refused.answer["refused"] == "it is on the allowlist: office (owner ops)"
    assert net.host.do(net.machine.netfilter.elements, TABLE, "banned4") == []


def test_it_ends_at_its_time(net: Net, block: Block) -> None:
    net.act(ALLOW, address="203.0.113.0/24", owner="ops", reason="office", seconds=5.0)
    assert net.act(block, address="203.0.113.7").answer["refused"]
    time.sleep(5.1)
    assert net.act(block, address="203.0.113.7").events[0].kind == "block.address_blocked"


def test_it_is_told_also_where_it_cannot_be_saved(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(net.machine, "write", full_disk)
    for action, more in ((ALLOW, {"owner": "ops", "reason": "office"}), (DISALLOW, {})):
        result = net.act(action, address="203.0.113.7", **more)
        assert [event.kind for event in result.events] == [f"block.{action.name}ed"]
        assert result.summary.endswith(f"; but {NOT_SAVED}")


def test_it_is_taken_off(net: Net, block: Block) -> None:
    net.act(ALLOW, address="203.0.113.7", owner="ops", reason="office")
    assert [event.kind for event in net.act(DISALLOW, address="203.0.113.7").events] == ["block.disallowed"]
    assert net.act(block, address="203.0.113.7").events[0].kind == "block.address_blocked"


def test_allowing_again_changes_owner_reason_and_end(net: Net) -> None:
    net.act(ALLOW, address="203.0.113.7", owner="ops", reason="office", seconds=60.0)
    net.act(ALLOW, address="203.0.113.7", owner="eva", reason="audit")
    (element,) = net.host.do(net.machine.netfilter.elements, TABLE, "allowed4")
    assert element.comment.startswith("eva|") and element.comment.endswith("|audit") and element.timeout_ms == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": "203.0.113.7"}, "needs an owner"),
        ({"address": "203.0.113.7", "owner": "ops"}, "needs a reason"),
        ({"address": "0.0.0.0/0", "owner": "ops", "reason": "x"}, "wider than /8"),
        ({"address": "nonsense", "owner": "ops", "reason": "x"}, "no address"),
        ({"address": "203.0.113.7", "owner": "ops", "reason": "x", "seconds": -5.0}, "seconds is -5.0"),
    ],
)
def test_what_is_not_whole_is_an_error_in_words(net: Net, arguments: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        net.act(ALLOW, **arguments)


def test_what_is_not_on_the_list_cannot_be_taken_off(net: Net) -> None:
    with pytest.raises(UsageError, match=r"203\.0\.113\.7 is not on the allowlist; allowed is nothing"):
        net.act(DISALLOW, address="203.0.113.7")
