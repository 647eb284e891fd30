"""The subject `datapath`: everything that decides on a packet's way, in structure: rules, sets, addresses, routes, switches, programs.

Beside the subject `firewall`, which is the same ruleset in the words that people read. Keys and documents, by `what`:

- `table FAMILY NAME`, `chain FAMILY TABLE NAME`, `set …`, `map …`, `flowtable …`, `object FAMILY TABLE SORT NAME`: `document` is the
  object as `nft -j list ruleset` writes it, compact; `order` of a chain: the handles of its rules. A set's elements are in the document
  unless `unread` says why they are not.
- `rule FAMILY TABLE CHAIN HANDLE`: the rule object; `text` in nft's words.
- `xtables FAMILY TABLE CHAIN`: a chain of iptables as `*-save` writes it: `text` holds its `-A` lines, without counters, joined by newlines;
  `document` is `{"policy": "DROP"}` for a built-in chain and `{}` for others. FAMILY is `ip`, `ip6` where the chain lives in nftables (its hook
  and priority are in the `chain` row of the same name, whose `order` gives the handles in the order of the lines), `legacy-ip`,
  `legacy-ip6` where it does not.
- `ipset NAME`: `document` is `{"type": "hash:ip", "family": "inet", "elements": [...]}`, elements as `ipset save` writes them.
- `link NAME`: as `ip -j -d addr` writes it (with `addr_info`); `route …`, `routing-rule …`: as `ip -j route show table all` and `ip -j rule` do.
- `switch NAME`: a sysctl, `text` is its value; NAME like `net.ipv4.ip_forward`, `net.ipv4.conf.eth0.rp_filter`.
- `program KIND PLACE`: an XDP, tc or cgroup program on the way; `text` names it.
- `vantage NAME`: from where reachability is judged, as configured: `document` is a `Vantage`.
"""

from contracts.record import Record

SUBJECT = "datapath"


class Vantage(Record):
    """From where to judge: `sources` are networks (`0.0.0.0/0`, `::/0` for anybody) that arrive by `interface` ("": by the route back)."""

    name: str
    sources: tuple[str, ...]
    interface: str = ""


class Row(Record, omit_defaults=True):
    """One part of what decides; see the module's docstring for what each `what` holds."""

    what: str
    document: str = ""
    text: str = ""
    order: tuple[int, ...] = ()
    unread: str = ""
