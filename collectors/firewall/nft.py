"""Reads nftables through nft: the outline as JSON, the rules as text, and the two compared.

The rules are taken from the text listing rather than from `nft -j list ruleset`: JSON costs twice the time and memory, hides the arguments
of what iptables-nft made just the same, and a person reads nft's own words in the end. What text cannot do, say safely where a name
or comment ends, `nft -j list chains` answers in a few milliseconds; where both disagree the ruleset changed in between or
something is made to be misread, and neither is believed.
"""

import re

import msgspec

from collectors.firewall.listing import parse
from collectors.firewall.ruleset import UNREAD, Part, Table, short_digest
from contracts.codec import UNDECODABLE
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Completed, ReadOnlyHost
from contracts.text import escape

PLAIN = re.compile(r"[A-Za-z_][\w/.-]*", re.ASCII)
"""What nft's grammar takes for a name; anything else on its command line would be read as a program."""

_MANAGED = re.compile(r"# Warning: table (\S+) (.+?) is managed by iptables-nft")
_XT = re.compile(r"\bxt (?:match|target) ")
_NOT_UTF8 = re.compile(r"\\x[0-9a-f]{2}")
_NAMED = 3
_JSON_SCHEMA = 1
_SET_S = 10.0


class _MetaInfo(msgspec.Struct):
    json_schema_version: int = 0


class _Chain(msgspec.Struct):
    family: str
    table: str
    name: str
    hook: str = ""
    prio: int | None = None
    policy: str = ""


class _Entry(msgspec.Struct):
    metainfo: _MetaInfo | None = None
    chain: _Chain | None = None


class _Answer(msgspec.Struct):
    nftables: list[_Entry]


def read(host: ReadOnlyHost) -> tuple[list[Table], frozenset[tuple[str, str]], list[Blind]]:
    """Return the tables, family and name of those that hold matches or targets of iptables, and what cannot be told.

    Raises `Unavailable`; `Malformed` when the two answers disagree, which a second try may mend.
    """
    listed = answered(host.commands.ask("nft", "-s", "-t", "-y", "list", "ruleset"))
    outlined = host.commands.ask("nft", "-j", "list", "chains")
    text = escape(listed.stdout)
    blind: list[Blind] = []
    if outlined.code < 0 and _NOT_UTF8.search(text):
        tables = _either(text)
        blind = [_unchecked(tables, outlined)]
    else:
        outline = _outline(answered(outlined).stdout)
        try:
            tables = _agreed(parse(text), outline)
        except Malformed:
            tables = _agreed(parse(text, quoted=True), outline)
    warned = {(match[1], match[2]) for match in _MANAGED.finditer(escape(listed.stderr + listed.stdout[:4096]))}
    if "xt match " in text or "xt target " in text:
        warned.update((t.family, t.name) for t in tables if any(_XT.search(r) for c in t.chains for r in c.rules))
    return tables, frozenset(warned), blind


def read_elements(host: ReadOnlyHost, table: Table, part: Part, max_bytes: int, former: str) -> Blind | None:
    """Fill in count and digest of a set's elements; returns what could not be seen.

    `former` is the digest of the last look. A set that is too large costs nft seconds, so it is tried once a day and its digest says so.
    """
    what = f"the elements of {part.sort} {table.family} {table.name} {part.name}"
    if not (PLAIN.fullmatch(table.name) and PLAIN.fullmatch(part.name)):
        # nft reads its arguments as a program: such a name is never handed to it.
        return Blind(what=what, why=Why.MALFORMED, detail="the name is not one that nft accepts", fix="Rename the set.")
    unread = f"{UNREAD}{max_bytes} bytes on {host.now():%Y-%m-%d}"
    large = Blind(
        what=what, why=Why.TOO_LARGE, detail=f"nft lists {unread}", fix="Raise collectors.firewall.max_set_bytes."
    )
    if former == unread:
        part.digest = former
        return large
    try:
        argv = ("nft", "-s", "list", part.sort, table.family, table.name, part.name)
        answer = answered(host.commands.ask(*argv, timeout_s=_SET_S, max_bytes=max_bytes))
    except Unavailable as error:
        if error.why in (Why.TOO_LARGE, Why.TIMEOUT):
            part.digest = unread
            return large
        return Blind(what=what, why=error.why, detail=error.message, fix=error.advice)
    _, _, content = escape(answer.stdout).partition("elements = {")
    items = sorted(filter(None, (item.strip() for item in content.rpartition("}\n\t}")[0].split(","))))
    part.elements, part.digest = len(items), short_digest("\n".join(items))
    return None


def _either(text: str) -> list[Table]:
    """Return the tables as they read one way or the other; which is right, nothing can tell."""
    try:
        return parse(text)
    except Malformed:
        return parse(text, quoted=True)


def _unchecked(tables: list[Table], outlined: Completed) -> Blind:
    """Say that nft's JSON, which breaks off over a chain whose name is not UTF-8, could not vouch for its listing."""
    odd = [f"{t.family} {t.name} {c.name}" for t in tables for c in t.chains if _NOT_UTF8.search(t.name + c.name)]
    names = ", ".join(odd[:_NAMED]) or "one that the listing hides"
    return Blind(
        what="whether every table, chain and rule is what it seems in nft's listing",
        why=Why.INCOMPATIBLE,
        detail=f"`nft -j list chains` ended by signal {-outlined.code} over names that are not UTF-8 (chain {names})",
        fix="Find out who made that chain, and delete or rename it (nft list chains shows it).",
    )


def answered(answer: Completed) -> Completed:
    """Return an answer of nft that is one; raises `Unavailable` with the reason for any other."""
    if answer.code == 0:
        return answer
    said = escape(answer.stderr).strip()
    line = said.splitlines()[0] if said else f"exit code {answer.code}"
    if "not permitted" in said or "Permission denied" in said or "must be root" in said:
        raise Unavailable(Why.PERMISSION, f"nft: {line}", advice="Give the netfilter worker CAP_NET_ADMIN.")
    if "option" in said or "JSON support" in said:
        raise Unavailable(Why.INCOMPATIBLE, f"nft: {line}", advice="Install nftables 0.9.1 or newer, built with JSON.")
    raise Unavailable(Why.OTHER, f"nft {' '.join(answer.argv[1:])}: {line}", advice="Run the same command by hand.")


def _agreed(tables: list[Table], outline: set[tuple[str, str, str, str, int | None, str]]) -> list[Table]:
    found = {(t.family, t.name, c.name, c.hook, c.priority, c.policy) for t in tables for c in t.chains}
    if found != outline:
        odd = min((entry[:3] for entry in found ^ outline), default=("", "", ""))
        raise Malformed(f"nft's listing and its outline disagree about chain {' '.join(odd)}")
    return tables


def _outline(raw: bytes) -> set[tuple[str, str, str, str, int | None, str]]:
    try:
        entries = msgspec.json.decode(raw, type=_Answer).nftables
    except UNDECODABLE as error:
        raise Malformed(f"nft's JSON does not decode: {error}") from error
    schemas = {entry.metainfo.json_schema_version for entry in entries if entry.metainfo}
    if schemas != {_JSON_SCHEMA}:
        advice = "Tell the makers of Holdfast the version of nft."
        raise Unavailable(
            Why.INCOMPATIBLE, f"nft speaks JSON schema {sorted(schemas)}, not {_JSON_SCHEMA}", advice=advice
        )
    chains = (entry.chain for entry in entries if entry.chain)
    return {(c.family, escape(c.table), escape(c.name), c.hook, c.prio, c.policy) for c in chains}
