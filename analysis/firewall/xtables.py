"""Reads rows `xtables …` and `ipset …`: the lines of iptables, nft and legacy, as rules, chains and tables of the model.

Legacy tables live beside nftables and are whole here, with the hooks and priorities that the kernel fixes for them. Rules of iptables-nft
live in nftables, where a chain's row has its hook; there a line stands for the one rule whose handle has its place in the chain.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from analysis.firewall.ipset import IpSet, read_ipsets
from analysis.firewall.model import Base, Chain, Maybe, NamedSet, Rule, Statement, Table, Unknown, Verdict
from analysis.firewall.xtables_lines import Line, Part, read_line
from analysis.firewall.xtables_matches import (
    Conditions,
    Place,
    Reader,
    addresses,
    bridged,
    comment,
    congestion,
    extension_headers,
    helper,
    hops,
    icmp,
    iprange,
    length,
    mac,
    multiport,
    no_such_header,
    pkttype,
    plain,
    recent,
    service,
    transport,
    undecided,
    words_of,
)
from analysis.firewall.xtables_states import (
    addrtype,
    conntrack,
    devgroup,
    in_set,
    marked,
    owner,
    realm,
    rpfilter,
    state,
)
from analysis.firewall.xtables_targets import TARGETS, statements
from analysis.firewall.xtables_values import family_of
from contracts.codec import UNDECODABLE
from contracts.errors import Malformed
from contracts.subjects.datapath import Row

MATCHES: dict[str, Reader] = {
    "tcp": transport("tcp"),
    "udp": transport("udp"),
    "udplite": transport("udplite"),
    "sctp": transport("sctp"),
    "dccp": transport("dccp"),
    "multiport": multiport,
    "icmp": icmp("icmp"),
    "icmp6": icmp("icmpv6"),
    "icmpv6": icmp("icmpv6"),
    "iprange": iprange,
    "mac": mac,
    "pkttype": pkttype,
    "length": length,
    "ttl": hops,
    "hl": hops,
    "tos": service,
    "dscp": service,
    "ecn": congestion,
    "comment": comment,
    "state": state,
    "conntrack": conntrack,
    "addrtype": addrtype,
    "set": in_set,
    "mark": marked("meta mark"),
    "connmark": marked("ct mark"),
    "owner": owner,
    "rpfilter": rpfilter,
    "devgroup": devgroup,
    "realm": realm,
    "policy": plain,
    "physdev": bridged,
    "helper": helper,
    "recent": recent,
    "ipv6header": extension_headers,
    **dict.fromkeys(("rt", "hbh", "dst", "frag", "srh"), no_such_header),
    **dict.fromkeys(
        """limit hashlimit connlimit quota statistic time string u32 bpf socket cgroup cluster rateest nfacct connbytes connlabel cpu
        tcpmss osf ah esp ipcomp l2tp mh eui64""".split(),  # noqa: SIM905
        undecided,
    ),
}
"""Every match that is known, by its name; those of the last line are taken both ways."""

_PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
_NAT_PRIORITIES = {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}
_KEY_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_MOST_TEXT = 4000
_NOTHING: tuple[Statement, ...] = ()


class _Chain(msgspec.Struct):
    """The rows of one chain, put together. `unread` says why lines are missing."""

    policy: str = ""
    parts: dict[int, str] = msgspec.field(default_factory=dict)
    unread: str = ""

    def text(self) -> str:
        return "\n".join(self.parts[part] for part in sorted(self.parts))

    def lines(self) -> list[str]:
        return [line for line in self.text().split("\n") if line.strip()]


class Xtables:
    """The lines of iptables that rows hold, and the ipsets; `unread` names rows that could not be understood.

    `former` is what was read last time: a line that stands in a table of the same chains, beside the same ipsets, is not read again.
    """

    def __init__(self, rows: Mapping[str, Row], former: "Xtables | None" = None) -> None:
        self.unread: list[str] = []
        self._chains: dict[tuple[str, str], dict[str, _Chain]] = {}
        for key, row in rows.items():
            if row.what == "xtables":
                self._take(key, row)
        self._set_rows = {key: row for key, row in rows.items() if row.what == "ipset"} if self._chains else {}
        same_sets = former is not None and former._set_rows == self._set_rows
        self._sets: dict[str, IpSet] = former._sets if former is not None and same_sets else read_ipsets(self._set_rows)
        self._named: dict[str, NamedSet] | None = former._named if former is not None and same_sets else None
        self._made: dict[tuple[str, str, str, str, int], Rule] = {}
        self._former = self._reusable(former) if former is not None and same_sets else {}
        self._lines: dict[tuple[str, str, str], tuple[Sequence[int], dict[int, str]]] = {}
        self._hooks: dict[tuple[str, str], dict[str, frozenset[str]]] = {}

    def ipsets(self) -> dict[str, NamedSet]:
        """Return the ipsets by name, for `Datapath.ipsets`."""
        if self._named is None:
            self._named = {name: found for one in self._sets.values() for name, found in one.named().items()}
        return self._named

    def holds(self, family: str, table: str, chain: str) -> bool:
        """Return whether there are lines of this chain."""
        return chain in self._chains.get((family, table), {})

    def rule(self, family: str, table: str, chain: str, order: Sequence[int], handle: int) -> Rule | None:
        """Return the rule with this handle by the line at its place; None if the chain has not a line for each of `order`.

        `order` are the handles of the chain's rules, as the `chain` row has them.
        """
        place = (family, table, chain)
        known = self._lines.get(place)
        if known is None or known[0] is not order:
            found = self._chains.get((family, table), {}).get(chain)
            lines = found.lines() if found is not None and not found.unread else []
            at_handle = dict(zip(order, lines, strict=True)) if len(lines) == len(order) else {}
            known = self._lines[place] = (order, at_handle)
        line = known[1].get(handle)
        return None if line is None else self._rule(family, table, chain, line, handle)

    def legacy(self) -> tuple[Table, ...]:
        """Return the tables of iptables-legacy, whole."""
        found: list[Table] = []
        for (family, name), chains in self._chains.items():
            if family.startswith("legacy-"):
                made = {chain: self._chain(family, name, chain) for chain in chains}
                found.append(Table(family=family, name=name, chains=made))
        return tuple(found)

    def _reusable(self, former: "Xtables") -> dict[tuple[str, str, str, str, int], Rule]:
        """Return the rules read last time of tables that have the same chains."""
        same = {
            place
            for place, chains in self._chains.items()
            if former._chains.get(place, {}).keys() == chains.keys()
            and not any("NETMAP" in one.text() for one in chains.values())
        }
        return {key: rule for key, rule in former._made.items() if key[:2] in same}

    def _take(self, key: str, row: Row) -> None:
        try:
            words = [msgspec.json.decode(word) if word[0] == '"' else word for word in _KEY_WORD.findall(key)][1:]
            document = msgspec.json.decode(row.document or "{}", type=dict[str, str | int])
        except UNDECODABLE:
            words, document = [], {}
        if len(words) not in (3, 4) or not all(isinstance(word, str) for word in words):
            self.unread.append(f"row {key[:120]}")
            return
        family, table, name = words[:3]
        chain = self._chains.setdefault((family, table), {}).setdefault(name, _Chain())
        part = document.get("part", 1)
        chain.parts[part if isinstance(part, int) else len(chain.parts) + 2] = row.text
        chain.policy = chain.policy or str(document.get("policy", ""))
        chain.unread = chain.unread or row.unread

    def _chain(self, family: str, table: str, name: str) -> Chain:
        held = self._chains[family, table][name]
        rules = tuple(self._rule(family, table, name, line, 0) for line in held.lines())
        base = _base(table, name, held.policy) if held.policy not in ("", "-") else None
        return Chain(name=name, rules=rules, base=base, unread=held.unread)

    def _rule(self, family: str, table: str, chain: str, line: str, handle: int) -> Rule:
        key = (family, table, chain, line, handle)
        rule = self._made.get(key) or self._former.get(key) or self._read(family, table, chain, line, handle)
        self._made[key] = rule
        return rule

    def _read(self, family: str, table: str, chain: str, line: str, handle: int) -> Rule:
        try:
            parsed = read_line(_plain(line), chain)
        except Malformed as error:
            text = line[:_MOST_TEXT]
            return Rule(statements=(Unknown(f"{line[:120]} ({error})"),), text=text, handle=handle)
        chains = self._chains[family, table]
        place = Place(family_of(family), self._sets, self._reached_from(family, table, chain, parsed))
        return Rule(statements=_statements(parsed, place, chains), text=parsed.text[:_MOST_TEXT], handle=handle)

    def _reached_from(self, family: str, table: str, chain: str, line: Line) -> frozenset[str]:
        """Return the built-in chains that lead to `chain`; only NETMAP asks."""
        if line.target is None or line.target.name != "NETMAP":
            return frozenset()
        place = (family, table)
        if place not in self._hooks:
            self._hooks[place] = _reached(self._chains[place])
        return self._hooks[place].get(chain, frozenset())


def _plain(line: str) -> str:
    r"""Return a line of a row as iptables wrote it: rows have `\\` for a backslash, like all text that was bytes."""
    return line.replace("\\\\", "\\") if "\\" in line else line


def _base(table: str, chain: str, policy: str) -> Base:
    kind = "nat" if table == "nat" else "route" if (table, chain) == ("mangle", "OUTPUT") else "filter"
    priority = _NAT_PRIORITIES.get(chain, 0) if table == "nat" else _PRIORITIES.get(table, 0)
    return Base(kind=kind, hook=chain.lower(), priority=priority, policy=policy.lower())


def _reached(chains: Mapping[str, _Chain]) -> dict[str, frozenset[str]]:
    """Return for every chain the built-in chains that lead to it."""
    calls: dict[str, set[str]] = {}
    for name, chain in chains.items():
        found = (re.search(r" -[jg] (\S+)", line) for line in chain.lines())
        calls[name] = {match[1] for match in found if match and match[1] in chains}
    reached: dict[str, set[str]] = {name: set() for name in chains}
    for start in (name for name, chain in chains.items() if name.isupper() and chain.policy not in ("", "-")):
        todo, seen = [start], {start}
        while todo:
            name = todo.pop()
            reached[name].add(start)
            todo += (fresh := calls[name] - seen)
            seen |= fresh
    return {name: frozenset(hooks) for name, hooks in reached.items()}


def _statements(line: Line, place: Place, chains: Iterable[str]) -> tuple[Statement, ...]:
    conditions = [*_conditions(line.base, place)]
    for part in line.matches:
        conditions += _conditions(part, place)
    effect = _effect(line, place, chains)
    if not effect and not any(isinstance(condition, Unknown) for condition in conditions):
        return _NOTHING
    return (*_undecided_last(conditions), *effect)


def _undecided_last(conditions: list[Statement]) -> list[Statement]:
    """Return the conditions, what is taken both ways behind what is not: for most packets the rule is left before it."""
    return sorted(conditions, key=lambda one: isinstance(one, Maybe))


def _conditions(part: Part, place: Place) -> Conditions:
    """Return what one match asks; one that is not known, or whose words are not understood, is unknown and named."""
    reader = MATCHES.get(part.name) if part.name else addresses
    if reader is None:
        return (Unknown(words_of(part)),)
    try:
        return reader(part, place)
    except Malformed as error:
        return (Unknown(f"{words_of(part)} ({error})"),)


def _effect(line: Line, place: Place, chains: Iterable[str]) -> tuple[Statement, ...]:
    if line.target is None:
        return _NOTHING
    name = line.target.name
    if name in chains:
        return (Verdict("goto" if line.goto else "jump", name),)
    if line.goto or name not in TARGETS:
        return (Unknown(words_of(line.target, "-g" if line.goto else "-j")),)
    return statements(line.target, place)
