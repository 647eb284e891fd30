"""The table loads in the kernel with everything that was saved, as often as one likes, and its text holds no trap."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.block import table
from actions.block.saved import Entry, Saved
from contracts.blocking import decode
from tests.actions.block.conftest import Net

NOW_MS = 1_800_000_000_000


def kept(net: Net, name: str) -> dict[str, str]:
    listing = json.loads(net.host.run("nft", "-j", "list", "set", "inet", "holdfast_block", name))
    found = {}
    for each in listing["nftables"][1]["set"].get("elem", []):
        inner = each["elem"]
        value = inner["val"]
        network = f"{value['prefix']['addr']}/{value['prefix']['len']}" if isinstance(value, dict) else value
        found[network] = inner.get("comment", "")
    return found


def test_everything_saved_is_in_the_kernel_and_loading_twice_is_loading_once(net: Net) -> None:
    entry = Entry(since_ms=5, until_ms=NOW_MS + 90 * 86_400_000, who="root", reason="why", cause="0190")
    saved = Saved(
        bans={"203.0.113.7": entry, "2001:db8::/64": Entry(since_ms=6, who="rule")},
        limited={"203.0.113.8": entry},
        unbanned={"203.0.113.9": entry},
        allowed={"198.51.100.0/24": Entry(since_ms=1, who="root", owner="ops", reason="office")},
    )
    for _ in range(2):
        net.host.do(table.load, net.machine, table.script(saved, NOW_MS))
    assert {name: decode(comment).who for name, comment in kept(net, "banned4").items()} == {"203.0.113.7": "root"}
    assert kept(net, "banned6") == {"2001:db8::/64": "rule|6||"}
    assert list(kept(net, "limited4")) == ["203.0.113.8"] and list(kept(net, "unbanned4")) == ["203.0.113.9"]
    assert decode(kept(net, "allowed4")["198.51.100.0/24"]).who == "ops"


def test_what_is_over_or_inside_of_another_is_left_out() -> None:
    entries = {
        "203.0.113.0/24": Entry(since_ms=1),
        "203.0.113.7": Entry(since_ms=1),
        "192.0.2.1": Entry(since_ms=1, until_ms=NOW_MS - 1),
        "192.0.2.2": Entry(since_ms=1, until_ms=NOW_MS + 1500),
    }
    (line,) = table.elements("banned", entries, NOW_MS)
    assert (
        line
        == 'add element inet holdfast_block banned4 { 192.0.2.2 timeout 1s500ms comment "|1||", 203.0.113.0/24 comment "|1||" }'
    )


@pytest.mark.parametrize("reject", [False, True])
def test_the_verdict_is_a_setting(net: Net, reject: bool) -> None:
    net.host.nft(table.render(Saved(reject=reject)))
    listing = net.host.run("nft", "list", "chain", "inet", "holdfast_block", "sources")
    assert ("@banned4 reject" in listing) is reject and ("@banned4 drop" in listing) is not reject


@given(st.text(), st.text(), st.integers(1, 1 << 45))
def test_no_reason_breaks_out_of_its_comment(who: str, reason: str, milliseconds: int) -> None:
    line = table.element("192.0.2.1", Entry(since_ms=1, until_ms=milliseconds, who=who, reason=reason), 0)
    comment = line.partition(' comment "')[2]
    assert comment.count('"') == 1 and comment.endswith('"')
    assert len(comment.encode()) <= 121 and "\\" not in comment and "\n" not in line


@pytest.mark.parametrize("milliseconds", [1, 999, 1000, 86_400_000, 10 * 365 * 86_400_000 + 1])
def test_every_length_is_one_that_nft_takes(net: Net, milliseconds: int) -> None:
    now_ms = int(time.time() * 1000)
    entry = Entry(since_ms=now_ms, until_ms=now_ms + milliseconds)
    net.host.do(table.load, net.machine, table.script(Saved(bans={"192.0.2.1": entry}), now_ms))


def test_text_that_nft_refuses_is_an_error_with_its_words(net: Net) -> None:
    with pytest.raises(table.NotLoaded, match=r"nft does not take the table of bans: .*syntax error"):
        net.host.do(table.load, net.machine, "this is no ruleset")
