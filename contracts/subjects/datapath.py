"""The subject `datapath`: everything that decides on a packet's way, in structure: rules, sets, addresses, routes, switches, programs.

Beside the subject `firewall`, which is the same ruleset in the words that people read. Keys and documents, by `what` (words of a key that
hold anything but letters, digits and `_./:+@-` are quoted as JSON; a key only has to be unique, the documents say what a part is):

- `table FAMILY NAME`, `chain FAMILY TABLE NAME`, `set …`, `map …`, `flowtable …`, `object FAMILY TABLE SORT NAME`: `document` is the
  object as `nft -j list ruleset` writes it, compact; `order` of a chain: the handles of its rules. A set's elements are in the document
  unless `unread` says why they are not; they stand by their values alone, without time-outs, comments and counters (`{"elem": {…}}` only
  where an element holds more, such as a limit). What an object counts is left out.
- `table FAMILY NAME` with `unread` and no document: nft cannot state this table as JSON; what it holds is not known.
- `rule FAMILY TABLE CHAIN HANDLE`: the rule object; `text` in nft's words. `unread` and no document: it is too large to travel.
- `xtables FAMILY TABLE CHAIN`: a chain of iptables as `*-save` writes it: `text` holds its `-A` lines, without counters, joined by newlines
  (a newline inside a comment is written as a space); `document` is `{"policy": "DROP"}` for a built-in chain and `{}` for others. FAMILY is
  `ip`, `ip6` where the chain lives in nftables (its hook and priority are in the `chain` row of the same name, whose `order` gives the
  handles in the order of the lines), `legacy-ip`, `legacy-ip6` where it does not. A line of a chain in nftables is needed where the rule's
  document holds an `xt` expression; where it holds none the document is to be believed, for `*-save` leaves out what only nft can say.
  A long chain goes on in `xtables FAMILY TABLE CHAIN 2`, `… 3`, whose document is `{"part": 2}` and so on.
- `ipset NAME`: `document` is `{"type": "hash:ip", "family": "inet", "elements": [...]}`, elements as `ipset save` writes them, without
  time-outs, counters and comments (`192.0.2.0/24 nomatch`, `192.0.2.0/24,eth wildcard`); "family" is absent for types that have none,
  "netmask", "bitmask" and "markmask" where the set was made without. `unread` as above. Only where a rule of iptables asks a set.
- `link NAME`: as `ip -j -d addr` writes it (with `addr_info`), without what changes by itself (life times, timers, counts).
- `route FAMILY …`, `routing-rule FAMILY …` (FAMILY is 4 or 6; table, priority, destination, device): as `ip -j route show table all` and
  `ip -j rule` write them, compact, `text` is the family.
- `link`, `route FAMILY`, `routing-rule FAMILY` with `unread` and no document: they were not read, or not all of them.
- `switch NAME`: a sysctl, `text` is its value; NAME like `net.ipv4.ip_forward`, `net.ipv4.conf.eth0.rp_filter`. A kernel that does not
  speak IPv6 has none of `net.ipv6`.
- `program KIND PLACE`: an XDP, tc, cgroup or unit program on the way; `text` names it; `document` is what the kernel or its tool says.
  KIND and PLACE: xdp `eth0`; tc `eth0 ingress` (`eth0`: the filters of its queue); cgroup `/system.slice ingress` for a cgroup above
  several units, which sees the packets of all processes below; unit `ssh.service ingress` for the cgroup of one unit or container, which
  sees the packets of its processes alone (so systemd does IPAddressDeny=); sk_lookup, which chooses the socket of whatever arrives.
- `xfrm DIRECTION SOURCE DESTINATION`: an IPsec policy, `text` its words as `ip xfrm policy` prints them; `xfrm default DIRECTION`: what is
  done with packets that no policy is for, where that is not to accept them (`default in block`). `unread` as above.
- `vantage NAME`: from where reachability is judged, as configured or derived: `document` is a `Vantage`.
"""

from ipaddress import ip_network
from typing import Annotated

from msgspec import Meta

from contracts.record import Record

SUBJECT = "datapath"
XTABLES_LINES = 5000
"""How many lines of one chain of iptables travel in one row at most."""


class Vantage(Record):
    """From where to judge: `sources` are networks (`0.0.0.0/0`, `::/0` for anybody) that arrive by `interface` ("": by the route back)."""

    name: Annotated[str, Meta(description="What this place is called.", min_length=1, examples=["office"])]
    sources: Annotated[
        tuple[str, ...],
        Meta(description="The networks there.", min_length=1, examples=[["192.0.2.0/24", "2001:db8::/64"]]),
    ]
    interface: Annotated[
        str, Meta(description="Where their packets arrive; empty for the interface that the route back to them names.")
    ] = ""

    def __post_init__(self) -> None:
        for source in self.sources:
            try:
                ip_network(source)
            except ValueError as error:
                raise ValueError(f"sources: {error}; write networks such as 192.0.2.0/24 or 2001:db8::/64") from error


class Row(Record, omit_defaults=True):
    """One part of what decides; see the module's docstring for what each `what` holds."""

    what: str
    document: str = ""
    text: str = ""
    order: tuple[int, ...] = ()
    unread: str = ""
