r"""Understands what `nft -s -t -y list ruleset` prints: tables at the margin, their parts one tab in, rules two tabs in.

Only this outline is parsed; a rule stays in nft's own words. nft escapes nothing: a comment may hold line breaks (given as JSON or by
netlink) and a log prefix a lone quote. So there are two ways of reading, `quoted` (a line ends where its quotes are closed) and not, and
the caller believes the one that agrees with nft's JSON.
"""

import re

from collectors.firewall.ruleset import Chain, Part, Table
from contracts.errors import Malformed

_TABLE = re.compile(r"table (\S+) (.+) \{")
_BASE = re.compile(r"type (\S+) hook (\S+)(?: devices? (?:= )?(.+))? priority (-?\d+);(?: policy (\w+);)?.*")
_LAST = re.compile(r"\blast used (?:never|[\w.]+)")
_COUNT = re.compile(r" # count \d+$")
_STATE = re.compile(r"^(?:packets \d+ bytes \d+$)|(?<=bytes) used \d+ \w+")


def parse(text: str, quoted: bool = False) -> list[Table]:
    """Return the tables of a listing; raises `Malformed` with what was found."""
    tables: list[Table] = []
    place = 0
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        line = text[place:end]
        place = end + 1
        if not line or line.startswith("#"):
            continue
        match = _TABLE.fullmatch(line)
        if match is None:
            raise Malformed(f"nft printed {line[:80]!r} where a table was due")
        close = _close(text, end, "\n}\n", quoted)
        tables.append(_table(match[1], match[2], text[end + 1 : close + 1], quoted))
        place = close + len("\n}\n")
    return tables


def _close(text: str, start: int, mark: str, quoted: bool) -> int:
    """Return where `mark` ends the block that begins at `start`; if `quoted`, marks inside quotes do not count."""
    end = text.find(mark, start)
    while quoted and end >= 0 and text.count('"', start, end) % 2:
        end = text.find(mark, end + 1)
    if end < 0:
        raise Malformed(f"nft's listing breaks off in {text[start : start + 60].strip()!r}")
    return end


def _table(family: str, name: str, body: str, quoted: bool) -> Table:
    table = Table(family, name)
    place = 0
    while place < len(body):
        end = _close(body, place, "\n", quoted)
        line = body[place:end]
        place = end + 1
        if line.endswith(" {") and line.startswith("\t"):
            close = _close(body, end, "\n\t}\n", quoted)
            _block(table, line.strip()[:-2], body[end + 1 : close + 1], quoted)
            place = close + len("\n\t}\n")
        elif line.startswith("\tflags "):
            table.flags = line.strip()
        elif line and not line.startswith("\tcomment "):
            raise Malformed(f"nft printed {line[:80]!r} in table {family} {name}")
    return table


def _block(table: Table, header: str, body: str, quoted: bool) -> None:
    sort, _, name = (
        header.rpartition(" ") if not header.startswith(("chain ", "set ", "map ")) else header.partition(" ")
    )
    lines = _lines(body, quoted)
    if sort == "chain":
        table.chains.append(_chain(name, lines))
    elif sort:
        definition = (_STATE.sub("", _COUNT.sub("", line)).strip() for line in lines)
        table.parts.append(
            Part(sort, name, tuple(line for line in definition if line and not line.startswith("elements")))
        )
    else:
        raise Malformed(f"nft printed {header[:80]!r} in table {table.family} {table.name}")


def _lines(body: str, quoted: bool) -> list[str]:
    """Split a block at line breaks followed by its indentation, if `quoted` outside quotes only."""
    pieces = ("\n" + body.removesuffix("\n")).split("\n\t\t")[1:]
    if not quoted or not any(piece.count('"') % 2 for piece in pieces):
        return pieces
    lines: list[str] = []
    is_open = False
    for piece in pieces:
        if is_open:
            lines[-1] += "\n\t\t" + piece
        else:
            lines.append(piece)
        is_open ^= bool(piece.count('"') % 2)
    return lines


def _chain(name: str, lines: list[str]) -> Chain:
    chain = Chain(name, lines)
    while chain.rules and (first := chain.rules[0]).startswith(("type ", "comment ", "flags ")):
        base = _BASE.fullmatch(first)
        if base is not None:
            chain.type, chain.hook, chain.policy = base[1], base[2], base[5] or "accept"
            chain.priority, chain.device = int(base[4]), (base[3] or "").replace('"', "").strip("{ }")
        elif first.startswith("type "):
            raise Malformed(f"nft printed {first[:80]!r} at the head of chain {name}")
        chain.rules = chain.rules[1:]
    if any("last used " in rule for rule in chain.rules):
        chain.rules = [_LAST.sub("last", rule) for rule in chain.rules]
    return chain
