"""Hears from the kernel that the nftables ruleset changed, and who changed it: the netlink group that `nft monitor` listens to.

Legacy iptables does not announce itself here; its tables have to be looked at.
"""

from collections.abc import Iterator

from contracts.errors import Malformed
from contracts.host import Committer, RulesetChange, Stop
from contracts.text import escape
from host import committers, multicast, netlink, nftables

_GROUP = 7  # NFNLGRP_NFTABLES in linux/netfilter/nfnetlink.h
WHAT = "changes of the firewall"
_MOST = 32
"""More committers in one burst are not looked up."""


def changes(stop: Stop) -> Iterator[RulesetChange]:
    """Yield every burst of changes until `stop` is set; raises `Unavailable`."""
    named: dict[tuple[int, str], Committer] = {}

    def take(datagram: bytes) -> None:
        who = committed(datagram)
        if who is not None and who not in named and len(named) < _MOST:
            named[who] = committers.describe(*who)

    for word in multicast.bursts(netlink.NETLINK_NETFILTER, (_GROUP,), WHAT, stop, take):
        yield RulesetChange(word=word, committers=tuple(named.values()))
        named.clear()


def committed(datagram: bytes) -> tuple[int, str] | None:
    """Return thread and name that `datagram` says committed; None when it says none.

    A commit ends with a datagram that says nothing else (`nf_tables_gen_notify`).
    """
    if len(datagram) < netlink.HEADER.size or netlink.HEADER.unpack_from(datagram)[1] != nftables.NEWGEN:
        return None
    pid, name = 0, b""
    start = netlink.HEADER.size + nftables.GENERIC.size
    try:
        for kind, first, last in nftables.attributes(datagram, start, len(datagram)):
            if kind == nftables.GEN_PID and last - first == 4:
                pid = int.from_bytes(datagram[first:last], "big")
            elif kind == nftables.GEN_NAME:
                name = datagram[first:last].split(b"\0", 1)[0]
    except Malformed:
        return None
    return (pid, escape(name)) if pid else None
