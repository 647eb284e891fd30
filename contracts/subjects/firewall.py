"""The subject `firewall`: the packet filter as keyed rows, as the collector states it and judges, pages and commands read it.

Keys: `summary`; `table FAMILY NAME`; `chain FAMILY TABLE NAME`; `rule FAMILY TABLE CHAIN DIGEST[.N]`, where the digest is of the rule's
text and N counts equal rules in one chain, so that inserting a rule moves no other key; `set …` and `object …` like chains. Tables
of iptables-legacy have the families `legacy-ip` and `legacy-ip6`. Names are in `contracts.text.escape` form.
"""

from contracts.record import Record

SUBJECT = "firewall"
SUMMARY = "summary"


class Summary(Record):
    """What the whole ruleset comes to.

    `filtering4` and `filtering6` say what becomes of an arriving packet that nothing names: `closed` (dropped or rejected), `partial` (some
    rules refuse something, the rest is let in), `open` (nothing refuses anything). Bans by single address do not count.
    `policy4` and `policy6` are the strictest policy among the base chains of the input hook: drop, accept, or none without such a chain.
    """

    backends: tuple[str, ...] = ()
    """Which kernel interfaces hold rules: nftables, iptables-nft, iptables-legacy."""
    makers: tuple[str, ...] = ()
    """Who made tables and chains, as far as their names tell: ufw, firewalld, docker, fail2ban, holdfast …"""
    tables: int = 0
    chains: int = 0
    rules: int = 0
    rules4: int = 0
    rules6: int = 0
    policy4: str = "none"
    policy6: str = "none"
    filtering4: str = "open"
    filtering6: str = "open"
    ipv6: bool = True
    """Whether this host speaks IPv6 at all."""
    incompatible: tuple[str, ...] = ()
    """Tables that iptables-nft-save refuses to state; nft states them instead."""
    unseen4: bool = False
    unseen6: bool = False
    """Whether there may be rules that could not be looked at: the firewall may be stricter than `filtering4` and `filtering6` say."""


class Row(Record, omit_defaults=True):
    """One part of the ruleset: `what` is summary, table, chain, rule, set or object; the other fields as far as they apply to it.

    `name` is the name of the part itself, for a rule that of its chain. `text` is a rule as its own tool writes it (`source`: nftables,
    iptables-nft, iptables-legacy), the definition of a set or object, the flags of a table.
    """

    what: str
    source: str = "nftables"
    family: str = ""
    table: str = ""
    name: str = ""
    text: str = ""
    maker: str = ""
    rank: int = 0
    """Rules of one chain in ascending rank are in the kernel's order; a rank stays when neighbours come and go."""
    type: str = ""
    """A base chain's type (filter, nat, route); what sort of set (set, map) or object (counter, flowtable …) it is."""
    hook: str = ""
    priority: int | None = None
    policy: str = ""
    device: str = ""
    rules: int = 0
    digest: str = ""
    """Of a chain: its rules in their order. Of a set: its elements, unless they come and go by design (bans)."""
    elements: int | None = None
    summary: Summary | None = None


def statement(row: Row) -> str:
    """Return a rule's text with what it needs to stand alone: iptables rules get their `-A CHAIN`."""
    return row.text if row.source == "nftables" else f"-A {row.name} {row.text}".rstrip()
