"""Reads nftables for the subject `datapath`: structure from `nft -j`, words from its listing, iptables' own words from `*-save`.

All of it has to be of one generation of the ruleset. nft reads consistently by itself; between its runs the ruleset may change, so the
kernel's generation is compared, and where it moved, the listing: if that is the same, only elements of sets came or went. What decides
comes from the JSON alone: the listing escapes nothing, so that a comment can make it read as anything.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from collectors.firewall import datapath_ranges, iptables, listing, nft
from collectors.firewall.datapath_rows import Sheet, compact
from collectors.firewall.datapath_sets import Sets
from collectors.firewall.rows import key
from collectors.firewall.ruleset import Chain, Table
from contracts.codec import UNDECODABLE
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.text import escape

_TRIES = 3
_NOT_UTF8 = re.compile(r"\\x[0-9a-f]{2}")
_MAX_BYTES = 96 << 20
_SCHEMA = 1
_SETS = ("set", "map")
_COUNTED = {"counter": ("packets", "bytes"), "quota": ("used",)}
"""What named objects count, by their sort."""
_BROKEN = "nft cannot state this table as JSON"
_XT = b'{"xt":'

Place = tuple[str, str, str]
"""Family, table and chain, names in `contracts.text.escape` form."""


class _Head(msgspec.Struct):
    """What names a part in nft's JSON."""

    family: str = ""
    name: str = ""
    table: str = ""
    chain: str = ""
    handle: int = 0
    hook: str = ""
    json_schema_version: int = 0


class _Answer(msgspec.Struct):
    nftables: list[dict[str, msgspec.Raw]]


class Ruleset(msgspec.Struct):
    """One consistent reading. `parts` are raw JSON with sort and head in the kernel's order.

    `orders` are the handles of every chain's rules, `words` nft's words for them where the listing is to be trusted, `saved` what `*-save`
    said by family, `broken` family and name of tables that nft cannot state, `sets` document and `unread` of the sets and maps in `parts`.
    """

    parts: list[tuple[str, _Head, msgspec.Raw]] = msgspec.field(default_factory=list)
    orders: dict[Place, list[int]] = msgspec.field(default_factory=dict)
    words: dict[Place, list[str]] = msgspec.field(default_factory=dict)
    saved: dict[str, iptables.Saved] = msgspec.field(default_factory=dict)
    broken: list[tuple[str, str]] = msgspec.field(default_factory=list)
    sets: list[tuple[str, str]] = msgspec.field(default_factory=list)
    blind: list[Blind] = msgspec.field(default_factory=list)
    flags: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)
    """Flags of tables and devices of chains in the listing's words: nft 1.0.6 states neither in its JSON."""
    devices: dict[Place, str] = msgspec.field(default_factory=dict)
    misread: frozenset[tuple[str, str, str, int]] = frozenset()
    """Rules by family, table, chain and handle that are not what nft lists."""


def read(host: ReadOnlyHost, sets: Sets) -> Ruleset:
    """Return the ruleset as it stood at one moment.

    Raises `Unavailable` when nft is of no use, or when three tries met a ruleset that changed meanwhile.
    """
    trouble = ""
    for _ in range(_TRIES):
        start = host.nftables.generation()
        text = _listing(host)
        try:
            ruleset = _structure(host, text)
            _adopt_words(ruleset, text)
            tables, managed = _tables(ruleset)
            ruleset.blind += iptables.join(host, tables, managed, ruleset.saved)[0]
            ruleset.misread = _misread(host, ruleset)
            ruleset.sets = sets.read(host, [(sort, raw) for sort, _, raw in ruleset.parts if sort in _SETS])
        except Malformed as error:
            trouble = error.message
            continue
        if host.nftables.generation() == start or _listing(host) == text:
            return ruleset
        trouble = "the ruleset changed while it was read"
    advice = "Look with `nft monitor` for what changes the ruleset all the time."
    raise Unavailable(Why.MALFORMED, f"{trouble} ({_TRIES} tries)", advice=advice)


def state(ruleset: Ruleset, sheet: Sheet) -> None:
    """Put the rows of `ruleset` on `sheet`."""
    elements = iter(ruleset.sets)
    chain: tuple[str, str, str] | None = None
    start, words = "", iter(list[str]())
    for sort, head, raw in ruleset.parts:
        if sort == "rule":
            here = head.family, head.table, head.chain
            if here != chain:
                chain, place = here, _place(*here)
                start, words = key("rule", *place), iter(ruleset.words.get(place, ()))
            is_misread = (*here, head.handle) in ruleset.misread
            document, unread = ("", datapath_ranges.UNREAD) if is_misread else (_text(raw), "")
            sheet.put_as(f"{start} {head.handle}", "rule", document=document, text=next(words, ""), unread=unread)
        elif sort in _SETS:
            document, unread = next(elements)
            names = (head.family, escape(head.table), escape(head.name))
            sheet.put(sort, *names, document=document, unread=unread, bare=_text(raw))
        else:
            _put_part(ruleset, sheet, sort, head, raw)
    for family, name in ruleset.broken:
        sheet.put("table", family, name, unread=_BROKEN)
    sheet.blind += ruleset.blind


def _put_part(ruleset: Ruleset, sheet: Sheet, sort: str, head: _Head, raw: msgspec.Raw) -> None:
    table, name = escape(head.table), escape(head.name)
    if sort == "table":
        flags = ruleset.flags.get((head.family, name), "")
        sheet.put("table", head.family, name, document=_text(raw), text=flags)
    elif sort == "chain":
        order = tuple(ruleset.orders[head.family, table, name])
        words = ruleset.devices.get((head.family, table, name), "")
        sheet.put("chain", head.family, table, name, document=_text(raw), text=words, order=order, bare=_text(raw))
    elif sort == "flowtable":
        sheet.put("flowtable", head.family, table, name, document=_text(raw))
    else:
        sheet.put("object", head.family, table, sort, name, document=_object(sort, raw))


def _listing(host: ReadOnlyHost) -> str:
    return escape(nft.answered(host.commands.ask("nft", "-s", "-t", "-y", "list", "ruleset")).stdout)


def _structure(host: ReadOnlyHost, text: str) -> Ruleset:
    """Return what nft states as JSON; where that breaks off over a name, table by table, so that only one of them is lost."""
    ruleset = Ruleset()
    whole = host.commands.ask("nft", "-j", "-s", "-t", "list", "ruleset", max_bytes=_MAX_BYTES)
    if whole.code >= 0:
        _take(ruleset, nft.answered(whole).stdout)
        return ruleset
    said = ""
    for family, name in _names(text):
        # nft reads its arguments as a program: a name that is none is never handed to it.
        if nft.PLAIN.fullmatch(name):
            answer = host.commands.ask("nft", "-j", "-s", "-t", "list", "table", family, name)
            if b"No such file or directory" in answer.stderr:
                raise Malformed(f"table {family} {name} vanished while it was read")
            if answer.code >= 0:
                _take(ruleset, nft.answered(answer).stdout)
                continue
            said = said or escape(answer.stderr).strip().partition("\n")[0][:200]
        ruleset.broken.append((family, name))
    if ruleset.broken:
        ruleset.blind.append(_unstated(ruleset.broken, has_odd_names=bool(_NOT_UTF8.search(text)), said=said))
    return ruleset


def _take(ruleset: Ruleset, answer: bytes) -> None:
    """Add what `answer` states; raises `Malformed`, and `Unavailable` for a schema that is not known."""
    try:
        entries = msgspec.json.decode(msgspec.json.format(answer, indent=-1), type=_Answer).nftables
        decoder = msgspec.json.Decoder(_Head)
        found = [(sort, decoder.decode(raw), raw) for entry in entries for sort, raw in entry.items()]
    except UNDECODABLE as error:
        raise Malformed(f"nft's JSON does not decode: {error}") from error
    schemas = {head.json_schema_version for sort, head, _ in found if sort == "metainfo"}
    if schemas != {_SCHEMA}:
        advice = "Tell the makers of Holdfast the version of nft."
        message = f"nft speaks JSON schema {sorted(schemas)}, not {_SCHEMA}"
        raise Unavailable(Why.INCOMPATIBLE, message, advice=advice)
    for sort, head, raw in found:
        if sort == "chain":
            ruleset.orders.setdefault(_place(head.family, head.table, head.name), [])
        elif sort == "rule":
            ruleset.orders.setdefault(_place(head.family, head.table, head.chain), []).append(head.handle)
        if sort != "metainfo":
            ruleset.parts.append((sort, head, raw))


def _names(text: str) -> list[tuple[str, str]]:
    """Return family and name of the tables in a listing; raises `Malformed`."""
    try:
        tables = listing.parse(text)
    except Malformed:
        tables = listing.parse(text, quoted=True)
    return [(table.family, table.name) for table in tables]


def _adopt_words(ruleset: Ruleset, text: str) -> None:
    """Take nft's words for the rules of every chain for which the listing, read one way or the other, has as many as the JSON."""
    for quoted in (False, True):
        try:
            tables = listing.parse(text, quoted)
        except Malformed:
            continue
        for table in tables:
            ruleset.flags.setdefault((table.family, table.name), table.flags)
            for chain in table.chains:
                place = (table.family, table.name, chain.name)
                ruleset.devices.setdefault(place, f"device {chain.device}" if chain.device else "")
                if place not in ruleset.words and len(ruleset.orders.get(place, ())) == len(chain.rules):
                    ruleset.words[place] = chain.rules
        if len(ruleset.words) == len(ruleset.orders):
            return


def _misread(host: ReadOnlyHost, ruleset: Ruleset) -> frozenset[tuple[str, str, str, int]]:
    try:
        return datapath_ranges.misread(host, (raw for sort, _, raw in ruleset.parts if sort == "rule"))
    except Unavailable as error:
        what = "whether the ranges in rules are what nft lists them as"
        ruleset.blind.append(Blind(what=what, why=error.why, detail=error.message, fix=error.advice or "Look again."))
        return frozenset()


def _tables(ruleset: Ruleset) -> tuple[list[Table], frozenset[tuple[str, str]]]:
    """Return the tables as `iptables.join` wants them, and those that hold what only iptables can state."""
    tables: dict[tuple[str, str], Table] = {}
    managed: set[tuple[str, str]] = set()
    for sort, head, raw in ruleset.parts:
        if sort not in ("chain", "rule"):
            continue
        family, name, _ = _place(head.family, head.table, "")
        if sort == "chain":
            table = tables.setdefault((family, name), Table(family, name))
            rules = [""] * len(ruleset.orders[family, name, escape(head.name)])
            table.chains.append(Chain(escape(head.name), rules, hook=head.hook))
        elif (family, name) not in managed and _XT in bytes(raw):
            managed.add((family, name))
    return list(tables.values()), frozenset(managed)


def _unstated(broken: Iterable[tuple[str, str]], *, has_odd_names: bool, said: str) -> Blind:
    """Name the tables over which nft breaks off: over a name, or (1.0.6) over two comparisons that it takes for one range."""
    names = ", ".join(f"{family} {name}"[:80] for family, name in list(broken)[:5])
    what = "a name in it that is not UTF-8" if has_odd_names else "a rule in it"
    fix = (
        "Find out who made it, and delete or rename it (nft list ruleset shows it)."
        if has_odd_names
        else "Write `<` and `>` in rules of that table as ranges (0-1023), or install a newer nft."
    )
    return Blind(
        what=f"what the tables hold that nft cannot state as JSON ({names})",
        why=Why.INCOMPATIBLE,
        detail=f"nft broke off over {what}{f' ({said})' if said else ''}",
        fix=fix,
    )


@lru_cache(maxsize=256)
def _place(family: str, table: str, chain: str) -> Place:
    return family, escape(table), escape(chain)


def _object(sort: str, raw: msgspec.Raw) -> str:
    """Return a named object without what it counted."""
    names = _COUNTED.get(sort)
    if not names:
        return _text(raw)
    whole = msgspec.json.decode(raw)
    return compact({name: value for name, value in whole.items() if name not in names}).decode()


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()
