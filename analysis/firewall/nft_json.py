"""Reads rules and sets as `nft -j` writes them (libnftables-json(5)) into the model's statements and expressions.

What is not understood never raises: a value becomes `Undecidable`, a statement `Unknown`, both with nft's own words.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from analysis.firewall.model import (
    Assign,
    Binary,
    Concat,
    Constant,
    Divert,
    Element,
    Expression,
    Fib,
    Field,
    Joined,
    Key,
    Lookup,
    Match,
    Maybe,
    Members,
    Name,
    Nat,
    NoTrack,
    Payload,
    Range,
    SetRef,
    Span,
    Statement,
    Undecidable,
    Unknown,
    Update,
    Verdict,
    VerdictMap,
)
from analysis.firewall.nft_addresses import address_key
from analysis.firewall.nft_types import of_fib, of_field
from analysis.firewall.values import NAMES, STRINGS, address, network, number

_WHOLE = (1 << 128) - 1
_SILENT = frozenset({"counter", "log", "flow", "dup", "ct helper", "ct timeout", "ct expectation", "secmark", "last"})
"""Statements that change nothing for a new connection's first packet; an object named by a map still has to be found in it."""
_BOTH_WAYS = frozenset({"limit", "quota", "ct count", "connlimit"})
_CHANCE = frozenset(
    {"numgen", "jhash", "symhash", "osf", "socket", "rt", "ipsec", "tcp option", "sctp chunk", "dccp option"}
)
_KEYS = frozenset({"range", "prefix", "concat", "elem", "|"})
"""Forms that are values to compare with where a value is due."""
_WORDS = 160


class _Strange(Exception):
    """A piece of JSON that is not understood."""


def statements(expressions: Any) -> tuple[Statement, ...]:
    """Return the statements of a rule's `expr` array."""
    if not isinstance(expressions, list):
        return (Unknown(text=words(expressions)),)
    return tuple(one for item in expressions for one in _statement(item))


def elements(items: Any, types: list[str], data_types: list[str]) -> tuple[Element, ...]:
    """Return the elements of a set or map (`elem`), whose keys are of `types`; raises `ValueError` for what is not understood."""
    try:
        if not data_types and types in (["ipv4_addr"], ["ipv6_addr"]):
            return tuple(Element(address_key(item) or _key(item, types)) for item in items or ())
        return tuple(_element(item, types, data_types) for item in items or ())
    except (_Strange, TypeError) as error:
        raise ValueError(f"an element that is not understood: {error}") from error


def words(item: Any) -> str:
    """Return `item` as one short line."""
    try:
        text = msgspec.json.encode(item).decode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        text = "?"
    return text if len(text) <= _WORDS else text[:_WORDS] + "…"


def _statement(item: Any) -> tuple[Statement, ...]:
    if not isinstance(item, dict) or len(item) != 1:
        return (Unknown(text=words(item)),)
    ((name, value),) = item.items()
    try:
        if name in _SILENT or name in _BOTH_WAYS:
            return _object(name, value, item)
        read = _STATEMENTS.get(name)
        return (Unknown(text=words(item)),) if read is None else read(value)
    except (_Strange, KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
        return (Unknown(text=words(item)),)


def _object(name: str, value: Any, item: Any) -> tuple[Statement, ...]:
    found: tuple[Statement, ...] = ()
    if isinstance(value, dict) and isinstance(value.get("map"), dict):
        key = expression(value["map"]["key"])
        found = (Match(key, "==", _where(value["map"]["data"], types_of(key), [])),)
    text = words(item)
    if isinstance(value, dict) and {"rate", "per"} <= value.keys():  # a rate limit, in nft's own words
        text = f"limit rate {value['rate']} {value.get('rate_unit', '')}".rstrip() + f"/{value['per']}"
    return (*found, Maybe(text=text)) if name in _BOTH_WAYS else found


def _match(value: Any) -> tuple[Statement, ...]:
    left = expression(value["left"])
    types = types_of(left)
    operator, right = value["op"], value["right"]
    if isinstance(left, Fib) and left.result == "oif" and (isinstance(right, bool) or right == "0"):
        left, right = Fib(left.flags, "present"), int(right)
        types = types_of(left)
    if operator not in ("==", "!=", "<", ">", "<=", ">=", "in", "!"):
        raise _Strange(operator)
    try:
        compared: Any = _right(right, types)
    except (_Strange, ValueError, KeyError, TypeError):
        return (Match(left, "==", Undecidable(words(right))),)
    if operator in ("in", "!") and not isinstance(compared, Members | SetRef):
        return (Match(left, "any" if operator == "in" else "none", Constant(_single(compared))),)
    if operator in ("<", ">", "<=", ">=") and not isinstance(compared, Constant):
        compared = Constant(_single(compared))
    return (Match(left, "==" if operator == "in" else operator, compared),)


def _right(right: Any, types: list[str]) -> Any:
    if isinstance(right, str) and right.startswith("@"):
        return SetRef(right[1:])
    if isinstance(right, list):
        return Constant(_flags(right, types[0]))
    if isinstance(right, dict):
        ((name, value),) = right.items()
        if name == "set":
            items = value if isinstance(value, list) else [value]
            return Members(tuple(_element(item, types, []) for item in items))
        if name in _CHANCE or (name in _EXPRESSIONS and name not in _KEYS):
            return expression(right)
    return _key(right, types)


def _single(compared: Any) -> int:
    if isinstance(compared, Constant) and isinstance(compared.value, int):
        return compared.value
    if isinstance(compared, Span) and compared.low == compared.high:
        return compared.low
    raise _Strange("not one number")


def _flags(items: list[Any], kind: str) -> int:
    total = 0
    for item in items:
        total |= _number(item, kind)
    return total


def _number(item: Any, kind: str) -> int:
    """Return the one number that `item` stands for as a value of type `kind`."""
    if isinstance(item, int):
        return int(item)
    if isinstance(item, dict) and set(item) == {"|"}:
        return _flags(item["|"], kind)
    if not isinstance(item, str):
        raise _Strange(words(item))
    symbol = NAMES.get(kind, {}).get(item)
    if symbol is not None:
        return symbol
    found = address(item)
    if found is not None and kind in ("ipv4_addr", "ipv6_addr", "integer", ""):
        return found[1]
    plain = number(item)
    if plain is None:
        raise _Strange(item)
    return plain


def _key(item: Any, types: list[str]) -> Key:
    if isinstance(item, dict) and "elem" in item:
        item = item["elem"]["val"]
    if isinstance(item, dict) and "concat" in item:
        parts = item["concat"]
        kinds = types if len(types) == len(parts) else [""] * len(parts)
        return Joined(tuple(_part(part, kind) for part, kind in zip(parts, kinds, strict=True)))
    if item == "*" and len(types) > 1:
        return Joined(tuple(_part(item, kind) for kind in types))
    return _part(item, types[0] if types else "")


def _part(item: Any, kind: str) -> Span | Name:
    if isinstance(item, dict) and "elem" in item:
        item = item["elem"]["val"]
    if kind in STRINGS:
        if isinstance(item, str):
            return Name("" if (kind, item) == ("iface_index", "0") else item)  # 0 is the number of no interface
        raise _Strange(words(item))
    if item == "*":
        return Span(0, _WHOLE)
    if isinstance(item, dict) and "prefix" in item:
        start, length = item["prefix"]["addr"], item["prefix"]["len"]
        found = address(start) if isinstance(start, str) else None
        bits = {4: 32, 6: 128}[found[0]] if found else {"mark": 32}.get(kind, 0)
        return Span(*network(_number(start, kind), length, bits))
    if isinstance(item, dict) and "range" in item:
        low, high = item["range"]
        return Span(_number(low, kind), _number(high, kind))
    value = _number(item, kind)
    return Span(value, value)


def _element(item: Any, types: list[str], data_types: list[str]) -> Element:
    if isinstance(item, list) and len(item) == 2:
        return Element(_key(item[0], types), _data(item[1], data_types))
    return Element(_key(item, types))


def _data(item: Any, types: list[str]) -> Any:
    if isinstance(item, dict) and len(item) == 1:
        ((name, value),) = item.items()
        if name in _VERDICTS:
            return _verdict(name, value)[0]
        if name == "concat":
            kinds = types if len(types) == len(value) else [""] * len(value)
            return Concat(tuple(_data(part, [kind]) for part, kind in zip(value, kinds, strict=True)))
        if name in _CHANCE or (name in _EXPRESSIONS and name not in _KEYS):
            return expression(item)
    kind = types[0] if types else ""
    part = _part(item, kind) if kind in STRINGS or not isinstance(item, str) else _loose(item, kind)
    if isinstance(part, Name):
        return Constant(part.text)
    return Constant(part.low) if part.low == part.high else Range(part.low, part.high)


def _loose(item: str, kind: str) -> Span | Name:
    """Return a value whose type only its use would tell; a word that is no number stays a word."""
    try:
        return _part(item, kind)
    except _Strange:
        return Name(item)


def _where(data: Any, types: list[str], data_types: list[str]) -> Members | SetRef:
    if isinstance(data, str) and data.startswith("@"):
        return SetRef(data[1:])
    return Members(tuple(_element(item, types, data_types) for item in data["set"]))


# ---- expressions


def expression(item: Any) -> Expression:
    """Return the expression `item`; one that is not understood is `Undecidable`."""
    if isinstance(item, bool | int):
        return Constant(int(item))
    if isinstance(item, str):
        found = _loose(item, "")
        return Constant(found.text if isinstance(found, Name) else found.low)
    if isinstance(item, dict) and len(item) == 1:
        ((name, value),) = item.items()
        read = _EXPRESSIONS.get(name)
        if read is not None:
            try:
                return read(value)
            except (_Strange, KeyError, TypeError, ValueError, AttributeError, IndexError):
                return Undecidable(words(item))
    return Undecidable(words(item))


def types_of(left: Expression) -> list[str]:
    """Return the data types of the parts of an expression, as far as they are known."""
    if isinstance(left, Concat):
        return [kind for part in left.parts for kind in types_of(part)]
    if isinstance(left, Field):
        return [of_field(left.name)]
    if isinstance(left, Fib):
        return [of_fib(left.result)]
    if isinstance(left, Binary):
        return types_of(left.left)
    return ["integer"]


def _payload(value: Any) -> Expression:
    if "base" in value:
        return Payload(value["base"], int(value["offset"]), int(value["len"]))
    return Field(f"{value['protocol']} {value['field']}")


def _ct(value: Any) -> Expression:
    key, direction = value["key"], value.get("dir")
    return Field(f"ct {direction} {key}" if direction else f"ct {key}")


def _fib(value: Any) -> Expression:
    flags = value.get("flags", [])
    flags = [flags] if isinstance(flags, str) else flags
    return Fib(tuple(str(flag) for flag in flags), str(value["result"]))


def _exthdr(value: Any) -> Expression:
    return Field(f"exthdr {value['name']}" + (f" {value['field']}" if "field" in value else ""))


def _binary(operator: str) -> Callable[[Any], Expression]:
    def read(value: Any) -> Expression:
        left, *others = value
        found = expression(left)
        kind = types_of(found)[0]
        width = 128 if kind == "ipv6_addr" else 32
        for other in others:
            flags = other if isinstance(other, list) else [other]
            plain = all(isinstance(one, str | int) or set(one) == {"|"} for one in flags)
            right = Constant(_flags(flags, kind)) if plain else expression(other)
            found = Binary(operator, found, right, width)
        return found

    return read


def _map(value: Any) -> Expression:
    key = expression(value["key"])
    return Lookup(key, _where(value["data"], types_of(key), []))


def _range(value: Any) -> Expression:
    low, high = value
    return Range(_number(low, ""), _number(high, ""))


def _prefix(value: Any) -> Expression:
    span = _part({"prefix": value}, "")
    if not isinstance(span, Span):
        raise _Strange(words(value))
    return Range(span.low, span.high)


_EXPRESSIONS: dict[str, Callable[[Any], Expression]] = {
    "payload": _payload,
    "meta": lambda value: Field(f"meta {value['key']}"),
    "ct": _ct,
    "fib": _fib,
    "exthdr": _exthdr,
    "ip option": lambda value: Field(f"ip option {value['name']}" + (f" {value['field']}" if "field" in value else "")),
    "concat": lambda value: Concat(tuple(expression(part) for part in value)),
    "map": _map,
    "range": _range,
    "prefix": _prefix,
    "elem": lambda value: expression(value["val"]),
    "&": _binary("&"),
    "|": _binary("|"),
    "^": _binary("^"),
    "<<": _binary("<<"),
    ">>": _binary(">>"),
}

# ---- statements


def _verdict(kind: str, value: Any) -> tuple[Verdict, ...]:
    return (Verdict(kind, str(value["target"]) if kind in ("jump", "goto") else ""),)


def _vmap(value: Any) -> tuple[Statement, ...]:
    key = expression(value["key"])
    return (VerdictMap(key, _where(value["data"], types_of(key), [])),)


def _mangle(value: Any) -> tuple[Statement, ...]:
    target = expression(value["key"])
    if not isinstance(target, Field):
        return ()  # a TCP option or the like: no match on it is ever decided
    given = value["value"]
    kind = of_field(target.name)
    if target.name == "meta priority":
        return (Assign(target, Undecidable(words(given))),)
    if isinstance(given, str | list):
        flags = given if isinstance(given, list) else [given]
        return (Assign(target, Constant(_flags(flags, kind)) if kind not in STRINGS else Constant(str(given))),)
    return (Assign(target, expression(given)),)


def _nat(kind: str) -> Callable[[Any], tuple[Statement, ...]]:
    def read(value: Any) -> tuple[Statement, ...]:
        value = value or {}
        family = {"ip": 4, "ip6": 6}.get(value.get("family", ""), 0)
        return (
            Nat(
                kind=kind,
                family=family,
                address=expression(value["addr"]) if "addr" in value else None,
                port=expression(value["port"]) if "port" in value else None,
                netmap="netmap" in words(value.get("flags", "")) or "prefix" in words(value.get("type_flags", "")),
                random="random" in words(value.get("flags", "")),
            ),
        )

    return read


def _update(value: Any) -> tuple[Statement, ...]:
    key = value["elem"]
    inner = tuple(one for item in value.get("stmt", []) for one in _statement(item))
    return (
        Update(
            name=str(value["set"] if "set" in value else value["map"]).removeprefix("@"),
            key=expression(key),
            conditions=inner,
            delete=value["op"] == "delete",
        ),
    )


_REJECT_FOR = {"tcp reset": ("meta l4proto", 6), "icmp": ("meta nfproto", 2), "icmpv6": ("meta nfproto", 10)}
"""Conditions that nft puts before a reject of this type and leaves out when it lists the rule."""


def _reject(value: Any) -> tuple[Statement, ...]:
    implied = _REJECT_FOR.get(str(value.get("type"))) if isinstance(value, dict) else None
    if implied is None:
        return (Verdict("reject"),)
    return Match(Field(implied[0]), "==", Span(implied[1], implied[1])), Verdict("reject")


def _queue(value: Any) -> tuple[Statement, ...]:
    del value  # the number of the queue decides nothing here
    return (Verdict("queue"),)


_VERDICTS = frozenset({"accept", "drop", "continue", "return", "jump", "goto"})

_STATEMENTS: dict[str, Callable[[Any], tuple[Statement, ...]]] = {
    **{kind: (lambda value, kind=kind: _verdict(kind, value)) for kind in _VERDICTS},  # type: ignore[misc]
    "match": _match,
    "reject": _reject,
    "vmap": _vmap,
    "mangle": _mangle,
    "dnat": _nat("dnat"),
    "snat": _nat("snat"),
    "masquerade": _nat("masquerade"),
    "redirect": _nat("redirect"),
    "notrack": lambda value: (NoTrack(),),  # noqa: ARG005
    "set": _update,
    "map": _update,
    "queue": _queue,
    "tproxy": lambda value: (Divert("tproxy " + words(value)),),
    "synproxy": lambda value: (Divert("synproxy " + words(value)),),
    "fwd": lambda value: (Divert("fwd " + words(value)),),
}
