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
    burst = _Burst()
    for word in multicast.bursts(netlink.NETLINK_NETFILTER, (_GROUP,), WHAT, stop, burst.take):
        yield burst.end(word)


class _Burst:
    """What the datagrams of one burst tell."""

    def __init__(self) -> None:
        self._named: dict[tuple[int, str], Committer] = {}
        self._elements = True

    def take(self, datagram: bytes) -> None:
        """Read one datagram; who committed is looked up at once."""
        who = committed(datagram)
        if who is None:
            self._elements = self._elements and _only_elements(datagram)
        elif who not in self._named and len(self._named) < _MOST:
            self._named[who] = committers.describe(*who)

    def end(self, word: str) -> RulesetChange:
        """Return the burst and begin the next."""
        is_elements = self._elements and word == "changed"
        change = RulesetChange(word=word, committers=tuple(self._named.values()), elements=is_elements)
        self._named, self._elements = {}, True
        return change


def _only_elements(datagram: bytes) -> bool:
    try:
        return all(kind in nftables.ELEMENTS for kind, _, _, _ in netlink.messages(datagram))
    except Malformed:
        return False


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
