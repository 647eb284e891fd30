"""Numbers of rules: plain ones, and comparisons with unsigned integers (Suricata's "integer keywords")."""

import re
from collections.abc import Mapping
from functools import lru_cache

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Number

U8, U16, U32, U64 = 0xFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF

_COMPARISON = re.compile(r"\s*(<=|>=|!=|<|>|=|!)?\s*([^\s<>!=&-]+)\s*(?:(<>|-)\s*(\S+))?\s*$")
_BITS = re.compile(r"\s*&\s*(\S+?)\s*(?:(!=|==?)\s*(\S+))?\s*$")
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10}
_UNITS |= {"m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30}
_SIZE = re.compile(r"(\d{1,20})\s*([a-zA-Z]*)$")


def integer(text: str, lowest: int = 0, highest: int = U32) -> int:
    """Return a decimal or `0x` number within bounds."""
    word = text.strip()
    try:
        value = int(word, 16) if word[:2].lower() == "0x" or word[:3].lower() == "-0x" else int(word)
    except ValueError:
        raise Refused(f'"{_short(word)}" is not a number') from None
    if "_" in word or not lowest <= value <= highest:
        raise Refused(f"{_short(word)} is not between {lowest} and {highest}")
    return value


def _short(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:40]}…"


def size(text: str, highest: int = U64) -> int:
    """Return a number of bytes; `kb`, `MiB` and the like are powers of 1,024."""
    found = _SIZE.match(text.strip())
    if found and found[2].lower() in _UNITS:
        return integer(str(int(found[1]) * _UNITS[found[2].lower()]), 0, highest)
    return integer(text, 0, highest)


@lru_cache(8192)
def number(text: str, highest: int = U32) -> Number:
    """Return a comparison: `5`, `=5`, `!5`, `<5`, `>=5`, `1-5` or `1<>5` (both ends excluded), `!1-5`, `&0x10`, `&0xf0=0x10`."""
    bits = _BITS.match(text)
    if bits:
        mask = integer(bits[1], 0, highest)
        if bits[3] is None:
            return Number("&", mask)
        return Number("&!=" if bits[2] == "!=" else "&=", mask, integer(bits[3], 0, highest))
    found = _COMPARISON.match(text)
    if not found:
        raise Refused(f'"{text.strip()}" is not a number to compare with')
    low = size(found[2], highest)
    if found[4] is not None:
        if found[1] not in {None, "!"}:
            raise Refused(f'"{text.strip()}" is a range behind an operator')
        high = size(found[4], highest)
        if high - low < 2:
            raise Refused(f'"{text.strip()}" leaves nothing between its ends')
        return Number("!in" if found[1] else "in", low, high)
    op = {"!": "!=", None: "="}.get(found[1], found[1])
    if (op == "<" and low == 0) or (op == ">" and low == highest):
        raise Refused(f'"{text.strip()}" can never be true')
    return Number(op, low)


def named(text: str, names: Mapping[str, int], highest: int = U32) -> Number:
    """Return a comparison in which `names` may stand for numbers."""
    word = text.strip()
    negated = word.startswith("!")
    found = names.get(word.removeprefix("!").strip().lower())
    if found is not None:
        return Number("!=" if negated else "=", found)
    if "," in word:
        raise Refused(f'"{_short(word)}" is a list, where one number, name or range can stand')
    return number(text, highest)
