"""Elements of nftables sets of addresses, read and changed over netlink: without a process, and at the same cost whatever a set's size.

What `nft add element` does after it has read the whole set to look for overlaps; here the kernel looks for them
(linux/netfilter/nf_tables.h). An interval is two elements: its first address, and one marked as end behind its last.
"""

import errno
import ipaddress
import itertools
import struct
from collections.abc import Iterator, Mapping, Sequence

from contracts.errors import Unavailable, Why
from contracts.netfilter import Element, NoSuchSet, Overlap
from host import netlink
from host.nfnetlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_EXCL,
    SUBSYS_NFTABLES,
    Conversation,
    Dump,
    KernelRefused,
    attribute,
    attributes,
    batch,
    each,
    message,
    nested,
    text,
    word,
)

_NEWSETELEM, _GETSETELEM, _DELSETELEM = (SUBSYS_NFTABLES << 8 | number for number in (12, 13, 14))
_INET = 1  # NFPROTO_INET
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_LIST_ELEM = 1
_KEY, _FLAGS, _TIMEOUT, _EXPIRATION, _USERDATA, _EXPR, _EXPRESSIONS = 1, 3, 4, 5, 6, 7, 11
_VALUE = 1
_INTERVAL_END = 1
_COMMENT = 0  # NFTNL_UDATA_SET_ELEM_COMMENT
_EXPR_NAME, _EXPR_DATA = 1, 2
_COUNTER_PACKETS = 2
_TRIES = 8
_PER_MESSAGE = 256
"""Elements in one message: an attribute's length has 16 bits."""

_U32, _U64 = struct.Struct(">I"), struct.Struct(">Q")
_WHAT = "the elements of nftables sets"


def add(table: str, name: str, elements: Sequence[Element]) -> None:
    """Add `elements` in one transaction; raises `Overlap`, `NoSuchSet`, `Unavailable`."""
    change(table, {}, {name: elements})


def delete(table: str, name: str, networks: Sequence[str]) -> None:
    """Delete the elements that are exactly `networks` in one transaction; raises `NoSuchSet`, `Unavailable`."""
    change(table, {name: [Element(network=network) for network in networks]}, {})


def change(table: str, gone: Mapping[str, Sequence[Element]], come: Mapping[str, Sequence[Element]]) -> None:
    """Delete and add elements, by set, in one transaction; raises `Overlap`, `NoSuchSet`, `Unavailable`."""
    wanted = [(_DELSETELEM, 0, name, [part for one in each for part in _interval(one)]) for name, each in gone.items()]
    flags = NLM_F_CREATE | NLM_F_EXCL
    wanted += [
        (_NEWSETELEM, flags, name, [part for one in each for part in _interval(one)]) for name, each in come.items()
    ]
    _transact(table, wanted)


def element(table: str, name: str, address: str) -> Element | None:
    """Return the element whose interval holds `address`, or None; its `network` is the interval's first address alone."""
    key = nested(_KEY, attribute(_VALUE, ipaddress.ip_address(address).packed))
    body = _place(table, name) + nested(_LIST_ELEMENTS, nested(_LIST_ELEM, key))
    with Conversation(_WHAT) as talk:
        try:
            answers = talk.ask(message(_GETSETELEM, NLM_F_ACK, _INET, body))
        except KernelRefused as refusal:
            if refusal.number == errno.ENOENT:
                if not _exists(table, name):
                    raise NoSuchSet(f"there is no set {name} in table inet {table}") from refusal
                return None
            raise _refused(table, name, refusal) from refusal
    return next((_element(raw) for answer in answers for raw in _raw(answer)), None)


def elements(table: str, name: str) -> list[Element]:
    """Return all elements; raises `NoSuchSet`, `Unavailable`."""
    return list(join([raw for answer in _dump(table, name) for raw in _raw(answer)]))


def intervals(table: str, name: str) -> list[tuple[int, int]]:
    """Return first and last address of every element as numbers, ascending; raises `NoSuchSet`, `Unavailable`."""
    begins: list[bytes] = []
    ends: set[bytes] = set()
    for answer in _dump(table, name):
        for raw in _raw(answer):
            key = raw[_KEY][4:]  # behind the header of the one attribute inside
            if _is_end(raw):
                ends.add(key)
            else:
                begins.append(key)
    marks = sorted({*begins, *ends})
    following = dict(itertools.pairwise(marks))
    top = (1 << 8 * len(marks[0])) - 1 if marks else 0
    number = int.from_bytes
    found = [(number(key, "big"), number(following[key], "big") - 1 if key in following else top) for key in begins]
    return sorted(found)


def _dump(table: str, name: str) -> list[bytes]:
    for _ in range(_TRIES):
        try:
            with Conversation(_WHAT) as talk:
                return talk.ask(message(_GETSETELEM, netlink.NLM_F_DUMP, _INET, _place(table, name)))
        except Dump:
            continue
        except KernelRefused as refusal:
            raise _refused(table, name, refusal) from refusal
    said = f"the set {name} of table inet {table} changed faster than it could be read"
    raise Unavailable(Why.OTHER, said, advice="try again")


def join(raws: Sequence[dict[int, bytes]]) -> Iterator[Element]:
    """Yield the elements that begin in `raws` with the end of each, which the kernel tells of as elements of their own."""
    begins = {_key(raw): raw for raw in raws if not _is_end(raw)}
    ends = {_key(raw) for raw in raws if _is_end(raw)}
    marks = sorted({*begins, *ends})
    following = dict(itertools.pairwise([*marks, b""]))
    for key in sorted(begins):
        behind = following[key]
        last = _before(behind) if behind else b"\xff" * len(key)
        yield _element(begins[key], last)


def _transact(table: str, wanted: Sequence[tuple[int, int, str, Sequence[bytes]]]) -> None:
    pages = [
        (kind, flags, _place(table, name) + nested(_LIST_ELEMENTS, *parts[start : start + _PER_MESSAGE]))
        for kind, flags, name, parts in wanted
        for start in range(0, len(parts), _PER_MESSAGE)
    ]
    if not pages:
        return
    # The kernel tells of every error; only the last message asks for an answer in any case, so that answers never outgrow the socket.
    acks = [0] * (len(pages) - 1) + [NLM_F_ACK]
    messages = [message(kind, flags | ack, _INET, body) for (kind, flags, body), ack in zip(pages, acks, strict=True)]
    with Conversation(_WHAT) as talk:
        try:
            talk.change(batch(messages))
        except KernelRefused as refusal:
            raise _refused(table, ", ".join(dict.fromkeys(name for _, _, name, _ in wanted)), refusal) from refusal


def _exists(table: str, name: str) -> bool:
    """Say whether the set is there: a dump of an absent one is refused at once, that of a present one is not read to its end."""
    kind = SUBSYS_NFTABLES << 8 | 10  # NFT_MSG_GETSET
    with Conversation(_WHAT) as talk:
        try:
            talk.ask(message(kind, NLM_F_ACK, _INET, text(1, table) + text(2, name)))
        except KernelRefused as refusal:
            if refusal.number == errno.ENOENT:
                return False
            raise _refused(table, name, refusal) from refusal
    return True


def _refused(table: str, name: str, refusal: KernelRefused) -> Exception:
    if refusal.number == errno.ENOENT:
        return NoSuchSet(f"the set {name} of table inet {table}, or an element of it, is not there")
    if refusal.number in (errno.EEXIST, errno.ENOTEMPTY):
        return Overlap(f"the set {name} of table inet {table} holds such an address already")
    said = f"the kernel refuses to change or read set {name} of table inet {table} ({refusal})"
    return Unavailable(Why.OTHER, said, advice=f"look at it with `nft list set inet {table} {name}`")


def _place(table: str, name: str) -> bytes:
    return text(_LIST_TABLE, table) + text(_LIST_SET, name)


def _details(element: Element) -> bytes:
    """Return the attributes of an interval's first element: its timeout and comment."""
    raw = attribute(_TIMEOUT, _U64.pack(element.timeout_ms)) if element.timeout_ms else b""
    if element.comment:
        comment = element.comment.encode() + b"\0"
        raw += attribute(_USERDATA, bytes([_COMMENT, len(comment)]) + comment)
    return raw


def _interval(element: Element) -> Iterator[bytes]:
    parsed = ipaddress.ip_network(element.network)
    yield nested(_LIST_ELEM, nested(_KEY, attribute(_VALUE, parsed.network_address.packed)), _details(element))
    last = ipaddress.ip_address(element.last) if element.last else parsed.broadcast_address
    if int(last) + 1 < 1 << last.max_prefixlen:
        behind = (int(last) + 1).to_bytes(last.max_prefixlen // 8, "big")
        flags = attribute(_FLAGS, _U32.pack(_INTERVAL_END))
        yield nested(_LIST_ELEM, nested(_KEY, attribute(_VALUE, behind)), flags)


def _raw(answer: bytes) -> Iterator[dict[int, bytes]]:
    listed = attributes(answer).get(_LIST_ELEMENTS, b"")
    for kind, payload in each(listed):
        if kind == _LIST_ELEM:
            yield attributes(payload)


def _key(raw: dict[int, bytes]) -> bytes:
    return attributes(raw.get(_KEY, b"")).get(_VALUE, b"")


def _is_end(raw: dict[int, bytes]) -> bool:
    flags = raw.get(_FLAGS)
    return flags is not None and bool(_U32.unpack(flags)[0] & _INTERVAL_END)


def _before(key: bytes) -> bytes:
    return (int.from_bytes(key, "big") - 1).to_bytes(len(key), "big")


def _element(raw: dict[int, bytes], last: bytes | None = None) -> Element:
    first = _key(raw)
    network, end = _network(first, first if last is None else last)
    return Element(
        network=network,
        timeout_ms=_number(raw.get(_TIMEOUT)),
        left_ms=_number(raw.get(_EXPIRATION)),
        comment=_comment(raw.get(_USERDATA, b"")),
        packets=_packets(raw),
        last=end,
    )


def _network(first: bytes, last: bytes) -> tuple[str, str]:
    """Return the interval as a network, or its first address and its last where it is none."""
    begin, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    size = int(end) - int(begin) + 1
    if size & (size - 1) or int(begin) % size:
        return str(begin), str(end)
    prefix = begin.max_prefixlen - size.bit_length() + 1
    return (str(begin) if size == 1 else f"{begin}/{prefix}"), ""


def _number(payload: bytes | None) -> int:
    return _U64.unpack(payload)[0] if payload else 0


def _comment(userdata: bytes) -> str:
    place = 0
    while place + 2 <= len(userdata):
        kind, length = userdata[place], userdata[place + 1]
        if kind == _COMMENT:
            return word(userdata[place + 2 : place + 2 + length])
        place += 2 + length
    return ""


def _packets(raw: dict[int, bytes]) -> int:
    several = [payload for _, payload in each(raw.get(_EXPRESSIONS, b""))]
    for payload in [raw.get(_EXPR, b""), *several]:
        expression = attributes(payload)
        if word(expression.get(_EXPR_NAME)) == "counter":
            return _number(attributes(expression.get(_EXPR_DATA, b"")).get(_COUNTER_PACKETS))
    return 0
