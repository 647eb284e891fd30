"""What is saved as good loads again to the same, and what counts as lost."""

import shutil

import pytest

from actions.policy import good
from actions.policy.store import Good

from .conftest import NetnsHost

RULESET = """
table inet site {
	set office {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8, 192.0.2.0-192.0.2.9 }
	}
	map ports {
		type inet_service : verdict
		elements = { 22 : accept, 80 : jump web }
	}
	set seen {
		type ipv4_addr
		size 1000
		flags dynamic,timeout
		timeout 1m
	}
	counter hits {
	}
	chain web {
		ip saddr @office counter name hits accept
	}
	chain input {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		tcp dport 23 update @seen { ip saddr limit rate 5/minute } accept comment "a } and a { and 'quotes'"
		tcp dport vmap @ports
	}
}
table netdev edge {
	chain in {
		type filter hook ingress device "lo" priority 0; policy accept;
		ip saddr 192.0.2.66 drop
	}
}
table ip nothing {
}
"""


def lost(host: NetnsHost, saved: Good) -> dict[str, str]:
    return good.lost(saved, good.current(host))


def test_what_is_saved_loads_again_to_the_same(host: NetnsHost) -> None:
    host.nft(RULESET)
    before = host.ruleset()
    saved = good.take(host, "root")
    assert saved.unsaved == {}
    assert set(saved.tables) == {"inet site", "netdev edge", "ip nothing"}
    assert host.ruleset() == before  # saving only looks
    host.nft("flush ruleset")
    host.nft(good.replacing(saved.tables))
    assert host.ruleset() == before
    host.nft(good.replacing(saved.tables))  # and over what is there
    assert host.ruleset() == before
    assert lost(host, saved) == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("flush ruleset", "is gone"),
        ("delete table inet site", "is gone"),
        ("flush table inet site", "chain input has lost all its rules"),
        ("flush chain inet site input", "chain input has lost all its rules"),
        ("add chain inet site input { policy accept; }", "chain input no longer drops by default"),
        ("flush chain inet site input\ndelete chain inet site input", "chain input no longer drops by default"),
        ("add table inet site { flags dormant; }", "is dormant"),
    ],
)
def test_what_opens_the_host_is_a_loss(host: NetnsHost, change: str, reason: str) -> None:
    host.nft(RULESET)
    saved = good.take(host, "root")
    host.nft(change)
    assert lost(host, saved)["inet site"] == reason


@pytest.mark.parametrize(
    "change",
    [
        "add rule inet site input tcp dport 99 accept",
        "add element inet site office { 198.51.100.0/24 }",
        "add table inet more",
        "delete table ip nothing",
        "flush chain inet site web",
    ],
)
def test_daily_work_is_no_loss(host: NetnsHost, change: str) -> None:
    host.nft(RULESET)
    saved = good.take(host, "root")
    host.nft(change)
    assert lost(host, saved) == {}


def test_tables_that_others_make_and_remove_are_left_to_them(host: NetnsHost) -> None:
    host.nft("add table inet f2b-table\nadd table inet holdfast\nadd table inet holdfast_block\nadd table inet site")
    assert set(good.take(host, "root").tables) == {"inet site"}


def test_tables_of_iptables_are_saved_as_iptables_writes_them(host: NetnsHost) -> None:
    assert shutil.which("iptables-nft"), "install iptables"
    host.sure("iptables-nft", "-P", "INPUT", "DROP")
    host.sure("iptables-nft", "-A", "INPUT", "-m", "recent", "--name", "x", "--set", "-j", "ACCEPT")
    saved = good.take(host, "root")
    assert list(saved.iptables) == ["iptables-nft filter"]
    assert "ip filter" not in saved.tables
    before = host.sure("iptables-nft-save")
    host.nft("flush ruleset")
    assert lost(host, saved) == {"iptables-nft filter": "is gone"}
    done = good.load_iptables(host, "iptables-nft filter", saved.iptables["iptables-nft filter"])
    assert done.code == 0, done.stderr
    assert _bare(host.sure("iptables-nft-save")) == _bare(before)
    host.sure("iptables-nft", "-P", "INPUT", "ACCEPT")
    assert "no longer drops" in lost(host, saved)["iptables-nft filter"]


def _bare(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_what_nft_could_not_load_again_is_named(host: NetnsHost) -> None:
    host.nft("add table inet site\nadd table inet odd")

    class Picky(NetnsHost):
        def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0):  # type: ignore[no-untyped-def]
            return super().change(*argv, stdin=stdin + (b"nonsense\n" if b"odd" in stdin else b""))

    saved = good.take(Picky(host.name, host.state), "root")
    assert set(saved.tables) == {"inet site"}
    assert "syntax error" in saved.unsaved["inet odd"]


def test_what_legacy_iptables_holds_is_said_to_be_unsaved(host: NetnsHost) -> None:
    host.sure("iptables-legacy", "-A", "INPUT", "-p", "tcp", "--dport", "23", "-j", "DROP")
    host.sure("ip6tables-legacy", "-L")  # a table without rules
    for names in ("ip_tables_names", "ip6_tables_names"):
        host.plant(f"/proc/net/{names}", host.sure("cat", f"/proc/net/{names}").encode())
    saved = good.take(host, "root")
    assert saved.unsaved == {"iptables-legacy filter": "tables of legacy iptables are watched, but not restored"}
    assert saved.iptables == {}
