"""After a reboot the saved file alone brings everything back, with the time that is left."""

import msgspec
import pytest

from actions.block.blocklists import saved as saved_lists
from actions.block.restore import restore_script
from actions.block.saved import Entry, Saved
from contracts.blocking import TABLE
from tests.actions.block.conftest import Net

NOW_MS = 1_800_000_000_000


def test_the_script_loads_what_was_saved_with_the_time_that_is_left(net: Net) -> None:
    saved = Saved(
        bans={"203.0.113.7": Entry(since_ms=1, until_ms=NOW_MS + 3_600_000), "2001:db8::1": Entry(since_ms=1)}
    )
    net.host.nft(restore_script(msgspec.json.encode(saved), NOW_MS))
    (found,) = net.host.do(net.machine.netfilter.elements, TABLE, "banned4")
    assert found.network == "203.0.113.7" and found.timeout_ms == 3_600_000
    (other,) = net.host.do(net.machine.netfilter.elements, TABLE, "banned6")
    assert other.timeout_ms == 0


def test_nothing_to_hold_is_no_script() -> None:
    over = Saved(begun_ms=1, bans={"203.0.113.7": Entry(since_ms=1, until_ms=NOW_MS)})
    assert restore_script(msgspec.json.encode(over), NOW_MS) == ""
    assert restore_script(b"{}", NOW_MS) == ""


def test_lists_alone_are_something_to_hold() -> None:
    lists = saved_lists({4: [(0xC0000200, 0xC00002FF)], 6: []})
    assert restore_script(b"{}", NOW_MS, lists).endswith("add element inet holdfast_block listed4 { 192.0.2.0/24 }\n")


@pytest.mark.parametrize("lists", [b"nonsense", b"4 zz 1\n", b"7 1 2\n", b"\xff"])
def test_lists_that_are_not_ours_are_refused(lists: bytes) -> None:
    with pytest.raises(ValueError):
        restore_script(b"{}", NOW_MS, lists)


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"version": 2}', b'{"bans": 7}'])
def test_content_that_is_not_ours_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # msgspec's own errors, and ours, are ones
        restore_script(content, NOW_MS)
