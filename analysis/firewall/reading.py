"""Reads the rows of the subject `datapath` into the model: `read(rows)`, or a `Reader` that remembers what did not change."""

from collections.abc import Mapping
from typing import Any

import msgspec

from analysis.firewall import nft_json, xfrm
from analysis.firewall.model import Base, Chain, Datapath, Element, NamedSet, Network, Rule, Table, Unknown
from analysis.firewall.reading_network import read_network
from analysis.firewall.xtables import Xtables
from contracts.codec import UNDECODABLE
from contracts.subjects.datapath import Row

_SILENT = frozenset({"flowtable", "object", "vantage", "xtables", "ipset"})
_MOST_TEXT = 2000
_KEPT = 1000
"""So many indexes of sets may be remembered beyond those that the rules and sets of one reading can have."""
_HOOKS = frozenset({"ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"})


class Reader:
    """Reads rows again and again; rules, sets and the network are parsed only when their documents changed. Says the same as `read`.

    What the last reading held is remembered, and nothing older: rules come and go for as long as the agent runs.
    """

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str, int], Rule] = {}
        self._sets: dict[tuple[str, str], NamedSet] = {}
        self._former_rules: dict[tuple[str, str, int], Rule] = {}
        self._former_sets: dict[tuple[str, str], NamedSet] = {}
        self._network: tuple[tuple[Any, ...], Network, tuple[str, ...]] | None = None
        self._cache: dict[str, Any] = {}
        self.xtables: Xtables | None = None

    def read(self, rows: Mapping[str, Row]) -> Datapath:
        """Return the datapath that `rows` state. Rows that are not understood are named in it and make uncertain; nothing raises."""
        self._former_rules, self._rules = self._rules, {}
        self._former_sets, self._sets = self._sets, {}
        try:
            return _Reading(self, rows).datapath()
        finally:
            self._former_rules, self._former_sets = {}, {}
            indexes = self._cache.get("indexes", {})
            if len(indexes) > _KEPT + 2 * (len(self._rules) + len(self._sets)):
                indexes.clear()

    def rule(self, row: Row, handle: int, parsed: Any) -> Rule:
        """Return the rule of a row, parsed once."""
        found = self.known_rule(row, handle)
        if found is None:
            text = row.text[:_MOST_TEXT]
            if row.unread:
                statements: tuple[Any, ...] = (Unknown(f"the rule was not read: {row.unread}"),)
            else:
                statements = nft_json.statements(parsed.get("expr"))
            found = Rule(statements=statements, text=text or nft_json.words(parsed), handle=handle)
            self._rules[row.document, row.text, handle] = found
        return found

    def known_rule(self, row: Row, handle: int) -> Rule | None:
        """Return the rule of a row if it was parsed before."""
        key = (row.document, row.text, handle)
        found = self._rules.get(key) or self._former_rules.get(key)
        if found is not None:
            self._rules[key] = found
        return found

    def named_set(self, row: Row, document: dict[str, Any]) -> NamedSet:
        """Return the set of a row, parsed once."""
        found = self.known_set(row)
        if found is None:
            found = self._sets[row.document, row.unread] = _named_set(row, document)
        return found

    def known_set(self, row: Row) -> NamedSet | None:
        """Return the set of a row if it was parsed before."""
        key = (row.document, row.unread)
        found = self._sets.get(key) or self._former_sets.get(key)
        if found is not None:
            self._sets[key] = found
        return found

    def network(self, key: tuple[Any, ...]) -> tuple[Network, tuple[str, ...]] | None:
        """Return the network read last if it was read from the same."""
        return self._network[1:] if self._network is not None and self._network[0] == key else None

    def keep_network(self, key: tuple[Any, ...], network: Network, unread: tuple[str, ...]) -> None:
        """Remember the network."""
        self._network = (key, network, unread)
        self._cache.pop("router", None)

    @property
    def cache(self) -> dict[str, Any]:
        """What the evaluator keeps from one datapath to the next."""
        return self._cache


def read(rows: Mapping[str, Row]) -> Datapath:
    """Return the datapath that `rows` (of the subject `datapath`, by key) state; what is not understood is named and makes uncertain."""
    return Reader().read(rows)


class _Reading:
    """One reading of all rows."""

    def __init__(self, reader: Reader, rows: Mapping[str, Row]) -> None:
        self.reader = reader
        self.rows = rows
        self.unread: list[str] = []
        self.xtables = reader.xtables = Xtables(rows, reader.xtables)
        self.tables: dict[tuple[str, str], tuple[dict[str, Chain], dict[str, NamedSet]]] = {}
        self.dormant: set[tuple[str, str]] = set()
        self.unsure: dict[tuple[str, str], str] = {}

    def datapath(self) -> Datapath:
        rules: dict[tuple[str, str, str, int], Row] = {}
        chains: list[tuple[str, Row]] = []
        programs: list[tuple[str, str, str]] = []
        for key, row in self.rows.items():
            what = row.what
            if what == "rule":
                family, table, chain, handle = _words(key)[1:5] if len(_words(key)) >= 5 else ("", "", "", "0")
                rules[family, table, chain, _int(handle)] = row
            elif what == "chain":
                chains.append((key, row))
            elif what == "table":
                self._table(key, row)
            elif what in ("set", "map"):
                self._set(key, row)
            elif what == "program":
                kind, place = (*_words(key)[1:], "", "")[:2]
                direction = " ".join(_words(key)[3:])
                programs.append((kind, f"{place} {direction}".strip(), row.text or key))
        for key, row in chains:
            self._chain(key, row, rules)
        network = self._network()
        self.unread += self.xtables.unread
        tables = [
            Table(
                family=family,
                name=name,
                chains=held[0],
                sets=held[1],
                dormant=(family, name) in self.dormant,
                unsure=self.unsure.get((family, name), ""),
            )
            for (family, name), held in self.tables.items()
        ]
        return Datapath(
            tables=(*tables, *self.xtables.legacy()),
            network=network,
            ipsets=self.xtables.ipsets(),
            programs=tuple(programs),
            policies=xfrm.policies(self.rows),
            unread=tuple(self.unread),
            cache=self.reader.cache,
        )

    def _document(self, key: str, row: Row) -> dict[str, Any] | None:
        try:
            document = msgspec.json.decode(row.document)
        except UNDECODABLE:
            document = None
        if isinstance(document, dict):
            return document
        self.unread.append(f"row {key[:120]}: no JSON object")
        return None

    def _held(self, family: str, name: str) -> tuple[dict[str, Chain], dict[str, NamedSet]]:
        return self.tables.setdefault((family, name), ({}, {}))

    def _table(self, key: str, row: Row) -> None:
        words = _words(key)
        family, name = (*words[1:3], "", "")[:2]
        held = self._held(family, name)
        if row.unread:
            base = Base(kind="filter", hook="ingress" if family == "netdev" else "prerouting", priority=0)
            held[0]["?"] = Chain(name="?", base=base, unread=f"the table was not read: {row.unread}")
            return
        document = self._document(key, row)
        if document is None:
            return
        flags = document.get("flags", [])
        if "flags" not in document:
            return
        known = set(row.text.replace(",", " ").split()) | set(
            flags if isinstance(flags, list) else str(flags).split(",")
        )
        if "dormant" in known:
            self.dormant.add((family, name))
        elif not known & {"owner", "persist"}:
            self.unsure[family, name] = f"table {family} {name}: its flags cannot be read, it may be dormant"

    def _set(self, key: str, row: Row) -> None:
        words = _words(key)
        if len(words) < 4:
            self.unread.append(f"row {key[:120]}: no name of a set")
            return
        found = self.reader.known_set(row)
        if found is None:
            document = self._document(key, row) if row.document else {}
            if document is None:
                document, row = {}, Row(what=row.what, document=row.document, unread="the row is no JSON")
            found = self.reader.named_set(row, document)
        self._held(words[1], words[2])[1][words[3]] = found

    def _chain(self, key: str, row: Row, rules: dict[tuple[str, str, str, int], Row]) -> None:
        words = _words(key)
        document = self._document(key, row)
        if len(words) < 4 or document is None:
            return
        family, table, name = words[1:4]
        made: list[Rule] = []
        by_lines = self.xtables.holds(family, table, name)
        for handle in row.order:
            held = rules.get((family, table, name, handle))
            # `*-save` leaves out what only nft can say: its line is right only where nft cannot say the rule by itself.
            by_line = by_lines and (held is None or held.unread or '"xt":' in held.document)
            rule = self.xtables.rule(family, table, name, row.order, handle) if by_line else None
            if rule is None:
                rule = self._rule(f"rule {family} {table} {name} {handle}", held, handle)
            made.append(rule)
        base = self._base(key, row, document)
        unread = f"the chain was not read: {row.unread}" if row.unread else ""
        self._held(family, table)[0][name] = Chain(
            name=name, handle=_int(str(document.get("handle", 0))), rules=tuple(made), base=base, unread=unread
        )

    def _rule(self, name: str, row: Row | None, handle: int) -> Rule:
        if row is None:
            return Rule(statements=(Unknown(f"{name} was not read"),), text="", handle=handle)
        known = self.reader.known_rule(row, handle)
        if known is not None:
            return known
        parsed: Any = {}
        if not row.unread:
            try:
                parsed = msgspec.json.decode(row.document)
            except UNDECODABLE:
                parsed = None
        if not isinstance(parsed, dict):
            row, parsed = Row(what=row.what, document=row.document, text=row.text, unread="no JSON object"), {}
        return self.reader.rule(row, handle, parsed)

    def _base(self, key: str, row: Row, document: dict[str, Any]) -> Base | None:
        if "hook" not in document:
            return None
        hook, priority = document.get("hook"), document.get("prio", 0)
        if hook not in _HOOKS or not isinstance(priority, int):
            self.unread.append(f"row {key[:120]}: hook {str(hook)[:40]}")
            return None  # nft 1.0.6 leaves the devices out of its JSON; then the row's text has them
        devices = document.get("dev") or tuple(row.text.removeprefix("device ").replace(",", " ").split())
        return Base(
            kind=str(document.get("type", "filter")),
            hook=hook,
            priority=priority,
            policy=str(document.get("policy", "accept")),
            devices=(devices,) if isinstance(devices, str) else tuple(str(one) for one in devices),
        )

    def _network(self) -> Network:
        parts = [
            (key, row) for key, row in self.rows.items() if row.what in ("link", "route", "routing-rule", "switch")
        ]
        identity = tuple((key, row.document, row.text, row.unread) for key, row in parts)
        known = self.reader.network(identity)
        if known is None:
            known = self._new_network(parts)
            self.reader.keep_network(identity, *known)
        self.unread += known[1]
        return known[0]

    def _new_network(self, parts: list[tuple[str, Row]]) -> tuple[Network, tuple[str, ...]]:
        links: list[dict[str, Any]] = []
        routes: list[tuple[int, dict[str, Any]]] = []
        rules: list[tuple[int, dict[str, Any]]] = []
        switches: dict[str, str] = {}
        before, self.unread = self.unread, []
        for key, row in parts:
            if row.what == "switch":
                switches[key.removeprefix("switch ")] = row.text
            elif row.unread:
                self.unread.append(f"{key[:120]}: {row.unread}")
            elif (document := self._document(key, row)) is not None:
                family = _family(row, document)
                if row.what == "link":
                    links.append(document)
                elif row.what == "route":
                    routes.append((family, document))
                else:
                    rules.append((family, document))
        network = read_network(links, routes, rules, switches, self.unread.append)
        found, self.unread = tuple(self.unread), before
        return network, found


def _family(row: Row, document: dict[str, Any]) -> int:
    """Return the IP version of a route or rule: as its row says, else by its addresses."""
    if row.text in ("4", "6"):
        return int(row.text)
    text = f"{document.get('dst', '')} {document.get('src', '')} {document.get('gateway', '')} {document.get('prefsrc', '')}"
    return 6 if ":" in text or document.get("family") == "inet6" else 4


def _named_set(row: Row, document: dict[str, Any]) -> NamedSet:
    name = str(document.get("name", ""))
    if row.unread:
        return NamedSet(name=name, unread=row.unread)
    data = _types(document.get("map", ()))
    try:
        found: tuple[Element, ...] = nft_json.elements(document.get("elem"), _types(document.get("type", ())), data)
    except ValueError as error:
        return NamedSet(name=name, unread=str(error)[:200])
    return NamedSet(name=name, elements=found)


def _types(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split(" . ")
    return [str(one) for one in value] if isinstance(value, list | tuple) else []


def _words(key: str) -> list[str]:
    """Return the words of a key; one with odd characters stands in it as JSON."""
    if '"' not in key:
        return key.split(" ")
    words: list[str] = []
    decoder_at = 0
    while decoder_at < len(key):
        if key[decoder_at] != '"':
            end = key.find(" ", decoder_at)
            end = len(key) if end < 0 else end
            words.append(key[decoder_at:end])
        else:
            end = decoder_at + 1
            while end < len(key) and key[end] != '"':
                end += 2 if key[end] == "\\" else 1
            end = min(end + 1, len(key))
            try:
                words.append(str(msgspec.json.decode(key[decoder_at:end])))
            except UNDECODABLE:
                words.append(key[decoder_at:end])
        decoder_at = end + 1
    return words


def _int(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
