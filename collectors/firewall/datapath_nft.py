"""Reads nftables for the subject `datapath`: structure from `nft -j`, words from its listing, iptables' own words from `*-save`.

All of it has to be of one generation of the ruleset. nft reads consistently by itself; between its runs the ruleset may change, so the
kernel's generation is compared, and where it moved, the listing: if that is the same, only elements of sets came or went.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from collectors.firewall import iptables, nft
from collectors.firewall.datapath_rows import Sheet, compact
from collectors.firewall.datapath_sets import Sets
from collectors.firewall.ruleset import IPTABLES_NFT, Table, short_digest
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.text import escape

_TRIES = 3
_MAX_BYTES = 96 << 20
_SETS = ("set", "map")
_SELF_CHANGING = {"counter": ("packets", "bytes"), "quota": ("used",)}
"""What named objects count, by their sort."""
_BROKEN = "nft cannot state this table as JSON"


class _Head(msgspec.Struct):
    """What names a part in nft's JSON."""

    family: str
    name: str = ""
    table: str = ""
    chain: str = ""
    handle: int = 0


class _Answer(msgspec.Struct):
    nftables: list[dict[str, msgspec.Raw]]


@dataclass(slots=True)
class Ruleset:
    """One consistent reading. `parts` are raw JSON by sort in the kernel's order, `words` nft's rules by chain, `saved` by family.

    `broken` are tables that nft cannot state as JSON, `sets` the documents of sets and maps in the order of `parts`.
    """

    parts: list[tuple[str, msgspec.Raw]]
    broken: list[Table]
    words: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    saved: dict[str, iptables.Saved] = field(default_factory=dict)
    sets: list[tuple[str, str]] = field(default_factory=list)
    blind: list[Blind] = field(default_factory=list)


def read(host: ReadOnlyHost, sets: Sets) -> Ruleset:
    """Return the ruleset as it stood at one moment.

    Raises `Unavailable` when nft is of no use, or when three tries met a ruleset that changed meanwhile.
    """
    trouble = ""
    for _ in range(_TRIES):
        sets.begin()
        start = host.nftables.generation()
        try:
            tables, managed, blind = nft.read(host)
            listing = _digest(tables)
            ruleset = _structure(host, tables)
            stated, _ = iptables.join(host, tables, managed, ruleset.saved)
            ruleset.words = _words(tables)
            ruleset.sets = [sets.read(host, sort, raw) for sort, raw in ruleset.parts if sort in _SETS]
            ruleset.blind = blind + stated
            if host.nftables.generation() == start or _digest(nft.read(host)[0]) == listing:
                return ruleset
            trouble = "the ruleset changed while it was read"
        except Malformed as error:
            trouble = error.message
    advice = (
        "Look with `nft monitor` for what changes the ruleset all the time, or for names with quotes or line breaks."
    )
    raise Unavailable(Why.MALFORMED, f"{trouble} ({_TRIES} tries)", advice=advice)


def state(ruleset: Ruleset, sheet: Sheet) -> None:
    """Put the rows of `ruleset` on `sheet`; raises `Malformed` when nft's two answers disagree about a chain."""
    heads = [(sort, _head(raw), raw) for sort, raw in ruleset.parts]
    orders: dict[tuple[str, str, str], list[int]] = {}
    for sort, head, raw in heads:
        if sort == "rule":
            _rule(sheet, ruleset, head, raw, orders)
    elements = iter(ruleset.sets)
    for sort, head, raw in heads:
        table, name = escape(head.table), escape(head.name)
        if sort == "table":
            sheet.put("table", head.family, name, document=_text(raw))
        elif sort == "chain":
            order = tuple(orders.get((head.family, table, name), ()))
            sheet.put("chain", head.family, table, name, document=_text(raw), order=order, bare=_text(raw))
        elif sort in _SETS:
            document, unread = next(elements)
            sheet.put(sort, head.family, table, name, document=document, unread=unread, bare=_text(raw))
        elif sort == "flowtable":
            sheet.put("flowtable", head.family, table, name, document=_text(raw))
        elif sort != "rule":
            sheet.put("object", head.family, table, sort, name, document=_object(sort, raw))
    for broken in ruleset.broken:
        sheet.put("table", broken.family, broken.name, unread=_BROKEN)
    sheet.blind += ruleset.blind


def _rule(
    sheet: Sheet, ruleset: Ruleset, head: _Head, raw: msgspec.Raw, orders: dict[tuple[str, str, str], list[int]]
) -> None:
    place = (head.family, escape(head.table), escape(head.chain))
    order = orders.setdefault(place, [])
    words = ruleset.words[place]
    sheet.put("rule", *place, str(head.handle), document=_text(raw), text=words[len(order)])
    order.append(head.handle)


def _structure(host: ReadOnlyHost, tables: list[Table]) -> Ruleset:
    """Return the parts that nft states as JSON; where that breaks off over a name, table by table, so that only one of them is lost."""
    whole = host.commands.ask("nft", "-j", "-s", "-t", "list", "ruleset", max_bytes=_MAX_BYTES)
    if whole.code >= 0:
        ruleset = Ruleset(parts=_parts(nft.answered(whole).stdout), broken=[])
    else:
        ruleset = _by_table(host, tables)
    _agree(ruleset, tables)
    return ruleset


def _by_table(host: ReadOnlyHost, tables: Iterable[Table]) -> Ruleset:
    ruleset = Ruleset(parts=[], broken=[])
    for table in tables:
        if not nft.PLAIN.fullmatch(table.name):
            ruleset.broken.append(table)
            continue
        answer = host.commands.ask("nft", "-j", "-s", "-t", "list", "table", table.family, table.name)
        if answer.code < 0:
            ruleset.broken.append(table)
        else:
            if b"No such file or directory" in answer.stderr:
                raise Malformed(f"table {table.family} {table.name} vanished while it was read")
            ruleset.parts += _parts(nft.answered(answer).stdout)
    return ruleset


def _parts(answer: bytes) -> list[tuple[str, msgspec.Raw]]:
    try:
        entries = msgspec.json.decode(msgspec.json.format(answer, indent=-1), type=_Answer).nftables
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"nft's JSON does not decode: {error}") from error
    return [(sort, raw) for entry in entries for sort, raw in entry.items() if sort != "metainfo"]


def _agree(ruleset: Ruleset, tables: list[Table]) -> None:
    """Raise `Malformed` unless JSON and listing tell of the same tables and chains with as many rules."""
    broken = {(table.family, table.name) for table in ruleset.broken}
    listed = {
        (table.family, table.name, chain.name): len(chain.rules)
        for table in tables
        for chain in table.chains
        if (table.family, table.name) not in broken
    }
    found: dict[tuple[str, str, str], int] = {}
    for sort, raw in ruleset.parts:
        if sort in ("chain", "rule"):
            head = _head(raw)
            place = (head.family, escape(head.table), escape(head.name if sort == "chain" else head.chain))
            found[place] = found.get(place, 0) + (sort == "rule")
    if found != listed:
        odd = min(place for place in found.keys() | listed.keys() if found.get(place) != listed.get(place))
        raise Malformed(f"nft's listing and its JSON disagree about chain {' '.join(odd)}")


def _head(raw: msgspec.Raw) -> _Head:
    try:
        return msgspec.json.decode(raw, type=_Head)
    except msgspec.DecodeError as error:
        raise Malformed(f"nft's JSON names a part in another way: {error}") from error


def _words(tables: Iterable[Table]) -> dict[tuple[str, str, str], list[str]]:
    return {
        (table.family, table.name, chain.name): chain.other_words if table.source == IPTABLES_NFT else chain.rules
        for table in tables
        for chain in table.chains
    }


def _digest(tables: Iterable[Table]) -> str:
    """Return what stands for a listing: everything in it but elements."""
    return short_digest("\n".join(_outlines(tables)))


def _outlines(tables: Iterable[Table]) -> Iterator[str]:
    for table in tables:
        yield f"{table.family} {table.name} {table.flags}"
        for chain in table.chains:
            yield f"{chain.name} {chain.type} {chain.hook} {chain.priority} {chain.policy} {chain.digest()}"
        for part in table.parts:
            yield f"{part.sort} {part.name} {part.definition}"


def _object(sort: str, raw: msgspec.Raw) -> str:
    """Return a named object without what it counted."""
    names = _SELF_CHANGING.get(sort)
    if not names:
        return _text(raw)
    whole = msgspec.json.decode(raw)
    return compact({name: value for name, value in whole.items() if name not in names}).decode()


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()
