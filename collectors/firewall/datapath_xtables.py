"""The chains of iptables for the subject `datapath`, and the ipsets that their rules ask."""

import re
from collections.abc import Iterable, Iterator, Mapping

from collectors.firewall import iptables
from collectors.firewall.datapath_rows import MAX_ROW, Sheet, compact
from collectors.firewall.ruleset import Table
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.subjects.datapath import XTABLES_LINES
from contracts.text import escape

_ASKS_SETS = re.compile(r"--(?:match-set|add-set|del-set|map-set) ")
_MASKS = re.compile(r"\b(netmask|bitmask|markmask) (\S+)")
_DECIDING = ("nomatch", "wildcard")
_FIX = "Install the package ipset."
_MAX_LIST = 4 << 20
_MAX_PART = MAX_ROW // 4
"""Letters; one of them is up to four bytes."""


def put_saved(sheet: Sheet, saved: Mapping[str, iptables.Saved], chains: Iterable[tuple[str, str, str]]) -> None:
    """Put the chains of iptables-nft on `sheet` that nftables holds (`chains`); `*-save` names others that are not there."""
    for family, table, chain in chains:
        said = saved.get(family)
        if said is None or table in said.incompatible or chain not in said.rules.get(table, {}):
            continue
        _put(sheet, (family, table, chain), said.policies[table][chain], said.rules[table][chain])


def put_legacy(sheet: Sheet, host: ReadOnlyHost) -> list[Table]:
    """Put the chains of legacy iptables on `sheet`; what cannot be read of them is a blind spot. Returns the tables."""
    tables, blind, _ = iptables.read_legacy(host)
    sheet.blind += blind
    for table in tables:
        for chain in table.chains:
            _put(sheet, (table.family, table.name, chain.name), chain.policy.upper() or "-", chain.rules)
    return tables


def _put(sheet: Sheet, place: tuple[str, str, str], policy: str, rules: list[str]) -> None:
    """Put one chain, a long one in parts."""
    document = compact({"policy": policy}).decode() if policy != "-" else "{}"
    for number, text in enumerate(_parts(place[2], rules), start=1):
        if number == 1:
            sheet.put("xtables", *place, document=document, text=text)
        else:
            sheet.put("xtables", *place, str(number), document=compact({"part": number}).decode(), text=text)


def _parts(chain: str, rules: list[str]) -> Iterator[str]:
    """Yield the lines of a chain in texts that travel, at least one (perhaps empty)."""
    lines: list[str] = []
    size = 0
    for rule in rules:
        line = f"-A {chain} {rule}".rstrip().replace("\n", " ")
        if len(lines) >= XTABLES_LINES or size + len(line) > _MAX_PART:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line) + 1
    yield "\n".join(lines)


def put_ipsets(sheet: Sheet, host: ReadOnlyHost, max_elements: int, max_bytes: int) -> None:
    """Put the ipsets on `sheet` if a rule there asks one; nobody else's way depends on them."""
    if not any(row.what == "xtables" and _ASKS_SETS.search(row.text) for row in sheet.rows.values()):
        return
    try:
        sets = _headers(_ask(host, "list", "-t", max_bytes=_MAX_LIST))
    except Unavailable as error:
        fix = _FIX if error.why is Why.TOOL_MISSING else error.advice
        sheet.missing("the elements of ipsets, which rules of iptables ask", error.why, error.message, fix)
        return
    large: list[str] = []
    for name, header in sets.items():
        sort, family, masks, count = header
        shape = {"type": sort} | ({"family": family} if family else {}) | masks
        elements, unread = list[str](), f"more than {max_elements} elements"
        if count <= max_elements:
            elements, unread = _elements(host, name, max_bytes)
        if unread:
            large.append(f"{name}: {unread}")
        document = compact(shape if unread else {**shape, "elements": elements}).decode()
        sheet.put("ipset", name, document=document, unread=unread, bare=compact(shape).decode())
    if large:
        fix = "Raise collectors.datapath.max_elements and max_set_bytes, as far as one row travels."
        sheet.missing(f"the elements of {len(large)} ipsets", Why.TOO_LARGE, "; ".join(large)[:400], fix)


def _headers(listing: str) -> dict[str, tuple[str, str, dict[str, str], int]]:
    """Return type, family ("" for none), masks and number of entries of every set in what `ipset list -t` prints."""
    found: dict[str, tuple[str, str, dict[str, str], int]] = {}
    for block in listing.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "Name" in fields:
            family = re.search(r"\bfamily (\w+)", fields.get("Header", ""))
            count = fields.get("Number of entries", "")
            number = int(count) if count.isdigit() else -1
            masks = dict(_MASKS.findall(fields.get("Header", "")))
            found[fields["Name"]] = (fields.get("Type", ""), family[1] if family else "", masks, number)
    return found


def _elements(host: ReadOnlyHost, name: str, max_bytes: int) -> tuple[list[str], str]:
    """Return the elements of one set and why they were not read, "" when they were."""
    try:
        saved = _ask(host, "save", name, max_bytes=max_bytes * 4)
    except Unavailable as error:
        return [], error.message
    elements = sorted(_adds(saved, name))
    if sum(map(len, elements)) + 3 * len(elements) > max_bytes:
        return [], f"more than {max_bytes} bytes"
    return elements, ""


def _adds(saved: str, name: str) -> Iterator[str]:
    start = f"add {name} "
    for line in saved.splitlines():
        if line.startswith(start):
            element, *rest = line[len(start) :].split(" ")
            yield " ".join([element, *(word for word in _DECIDING if word in _unquoted(rest))])


def _unquoted(words: Iterable[str]) -> list[str]:
    """Return the words before a comment, which comes in quotes and may say anything."""
    plain: list[str] = []
    for word in words:
        if word.startswith('"'):
            break
        plain.append(word)
    return plain


def _ask(host: ReadOnlyHost, *arguments: str, max_bytes: int) -> str:
    answer = host.commands.ask("ipset", *arguments, max_bytes=max_bytes)
    if answer.code == 0:
        return escape(answer.stdout)
    said = (escape(answer.stderr).strip().splitlines() or [f"exit code {answer.code}"])[0]
    if "not permitted" in said or "ermission" in said:
        raise Unavailable(Why.PERMISSION, f"ipset: {said}", advice="Give the netfilter worker CAP_NET_ADMIN.")
    raise Unavailable(Why.OTHER, f"ipset: {said}", advice=f"Run `ipset {' '.join(arguments)}` by hand.")
