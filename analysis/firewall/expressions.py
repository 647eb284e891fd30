"""The value of every expression for all packets at once, and which of them a comparison matches: surely, or perhaps."""

from collections.abc import Callable
from typing import Any, NamedTuple

from analysis.firewall.cohort import NOTHING, Spread, constant, product
from analysis.firewall.fields import TRACKED, Packets
from analysis.firewall.model import (
    Binary,
    Concat,
    Constant,
    Element,
    Expression,
    Fib,
    Field,
    Joined,
    Lookup,
    Match,
    Members,
    Name,
    NamedSet,
    Payload,
    Range,
    SetRef,
    Span,
    Undecidable,
)
from analysis.firewall.network import LOCAL_TYPE, Flow, Router
from analysis.firewall.sets import Index, matches

_IP4 = (
    (0, 4, "ip version"), (4, 4, "ip hdrlength"), (8, 6, "ip dscp"), (14, 2, "ip ecn"), (16, 16, "ip length"), (32, 16, "ip id"),
    (48, 16, "ip frag-off"), (64, 8, "ip ttl"), (72, 8, "ip protocol"), (80, 16, "ip checksum"), (96, 32, "ip saddr"),
    (128, 32, "ip daddr"),
)  # fmt: skip
_IP6 = (
    (0, 4, "ip6 version"), (4, 6, "ip6 dscp"), (10, 2, "ip6 ecn"), (12, 20, "ip6 flowlabel"), (32, 16, "ip6 length"),
    (48, 8, "ip6 nexthdr"), (56, 8, "ip6 hoplimit"), (64, 128, "ip6 saddr"), (192, 128, "ip6 daddr"),
)  # fmt: skip
_TCP = (
    (0, 16, "tcp sport"), (16, 16, "tcp dport"), (32, 32, "tcp sequence"), (64, 32, "tcp ackseq"), (96, 4, "tcp doff"),
    (104, 8, "tcp flags"),
    (112, 16, "tcp window"), (128, 16, "tcp checksum"), (144, 16, "tcp urgptr"),
)  # fmt: skip
_UDP = ((0, 16, "udp sport"), (16, 16, "udp dport"), (32, 16, "udp length"), (48, 16, "udp checksum"))
_LAYOUTS = {"nh": (_IP4, _IP6), "th": (_TCP, _UDP)}
_MANY = 4096
_SMALL = 64


class Split(NamedTuple):
    """Bits of packets that may match and that may not; in both: undecided; in neither: without the field."""

    hit: int
    miss: int


class Expressions:
    """Evaluates expressions over `packets`; `sets` finds the named set of a reference, None for one that is not there.

    `partial` gathers packets for which an expression may have no value at all because a map was not read whole.
    """

    def __init__(
        self, packets: Packets, router: Router, sets: Callable[[SetRef], NamedSet | None], cache: dict[str, Any]
    ) -> None:
        self.packets = packets
        self.router = router
        self._sets = sets
        self._indexes: dict[int, tuple[object, Index]] = cache.setdefault("indexes", {})
        self._products: dict[Expression, tuple[tuple[Spread, ...], Spread]] = {}
        self.hook = ""
        self.partial = 0

    # ---- values

    def value(self, expression: Expression) -> Spread:
        """Return what `expression` is for every packet."""
        if isinstance(expression, Field):
            return self._field(expression.name)
        if isinstance(expression, Constant):
            return constant(expression.value, self.packets.everyone)
        if isinstance(expression, Concat):
            return self._concat(expression)
        if isinstance(expression, Binary):
            return self._binary(expression)
        if isinstance(expression, Lookup):
            return self._lookup(expression)
        if isinstance(expression, Fib):
            return self._fib(expression)
        if isinstance(expression, Payload):
            return self._payload(expression)
        if isinstance(expression, Range):
            return constant(expression, self.packets.everyone)  # type: ignore[arg-type]
        return self._open()

    def doubt(self, expression: Expression) -> str:
        """Return in words what of `expression` is not known."""
        if isinstance(expression, Field):
            return expression.name
        if isinstance(expression, Undecidable):
            return expression.text
        if isinstance(expression, Concat):
            return " . ".join(self.doubt(part) for part in expression.parts)
        if isinstance(expression, Binary):
            return self.doubt(expression.left)
        if isinstance(expression, Lookup):
            return self.doubt(expression.key)
        if isinstance(expression, Fib):
            return f"fib {' . '.join(expression.flags)} {expression.result}"
        if isinstance(expression, Payload):
            return f"@{expression.base},{expression.offset},{expression.length}"
        return f"{expression}"

    def _field(self, name: str) -> Spread:
        """Return a field as rules see it: those of a connection are anything for who perhaps has none."""
        found = self.packets.get(name)
        if found is None:
            return self._open()
        if name.startswith("ct ") and name != "ct state":
            tracked = self.packets.base[TRACKED]
            if doubtful := tracked.multi & tracked.values.get(2, 0):
                return Spread(found.values, found.unknown | doubtful)
        return found

    def _open(self) -> Spread:
        return Spread({}, self.packets.everyone)

    def _concat(self, expression: Concat) -> Spread:
        parts = tuple(self.value(part) for part in expression.parts)
        known = self._products.get(expression)
        if (
            known is not None
            and len(known[0]) == len(parts)
            and all(a is b for a, b in zip(known[0], parts, strict=True))
        ):
            return known[1]
        made = product(list(parts))
        if len(made.values) > _MANY * 16:
            made = Spread({}, made.present)
        self._products[expression] = (parts, made)
        return made

    def _binary(self, expression: Binary) -> Spread:
        left = self.value(expression.left)
        mask = (1 << expression.width) - 1
        if isinstance(expression.right, Constant) and isinstance(expression.right.value, int):
            right = expression.right.value
            if expression.operator == "&" and right == 0:
                return constant(0, left.present)
            return _numeric(left).mapped(lambda value: _apply(expression.operator, value, right, mask))
        pairs = product([_numeric(left), _numeric(self.value(expression.right))])
        return pairs.mapped(lambda pair: _apply(expression.operator, pair[0], pair[1], mask))

    def _lookup(self, expression: Lookup) -> Spread:
        key = self.value(expression.key)
        index, unread, open_bits = self.index(expression.where, expression.key)
        values: dict[Any, int] = {}
        unknown = key.unknown | (open_bits & key.present)
        missing = 0
        for value, bits in key.values.items():
            element = index.find(value)
            if element is None:
                missing |= bits
                continue
            data = self._datum(element, bits)
            for one, had in data.values.items():
                values[one] = values.get(one, 0) | had
            unknown |= data.unknown
        if unread:
            unknown |= missing
        self.partial |= (unknown if unread else 0) | key.unknown | (missing & key.multi)
        return Spread(values, unknown)

    def _datum(self, element: Element, bits: int) -> Spread:
        data = element.data
        if isinstance(data, Constant):
            return constant(data.value, bits)
        if isinstance(data, Range):
            return constant(data, bits)  # type: ignore[arg-type]
        if isinstance(data, Concat):
            parts = tuple(part if isinstance(part, Range) else getattr(part, "value", None) for part in data.parts)
            return constant(parts, bits) if None not in parts else Spread({}, bits)
        return Spread({}, bits)

    def _fib(self, expression: Fib) -> Spread:
        flags = expression.flags
        end = "daddr" if "daddr" in flags else "saddr"
        other = "saddr" if end == "daddr" else "daddr"
        device_field = "meta iifname" if "iif" in flags else "meta oifname" if "oif" in flags else ""
        get = self.packets.get
        values: dict[Any, int] = {}
        unknown = 0
        everyone = self.packets.everyone
        for family in (4, 6):
            parts = [
                self.packets.address(end, family),
                self.packets.address(other, family),
                (get(device_field) if device_field else None) or constant("", everyone),
                (get("meta mark") if "mark" in flags else None) or constant(0, everyone),
                get("meta iifname") or constant("", everyone),
            ]
            rows = product(parts)
            unknown |= rows.unknown
            for (address, against, device, mark, iif), bits in rows.values.items():
                result = self._fib_one(expression.result, Flow(family, address, against, mark=mark), device, iif)
                if result is None:
                    unknown |= bits
                else:
                    values[result] = values.get(result, 0) | bits
        return Spread(values, unknown)

    def _fib_one(self, result: str, flow: Flow, device: str, iif: str) -> Any:
        """Return the result for one packet, None if it is not known."""
        router = self.router
        if result == "type":
            return router.type_of(flow.family, flow.destination, device)
        link = router.links.get(iif)
        if self.hook in ("prerouting", "ingress", "input") and link is not None and link.loopback:
            return _as(result, iif)
        oif = device if flow.family == 6 and flow.destination >> 118 == 0xFE80 >> 6 else ""
        found = router.lookup(flow._replace(oif=oif))
        if found.unsure:
            return None
        if found.kind in (0, LOCAL_TYPE) or found.kind > 5 or (flow.family == 6 and found.kind == 4):
            return _as(result, "")
        if device and device not in found.devices:
            return _as(result, "")
        if device:
            return _as(result, device)
        if len(found.devices) == 1 or result == "present":
            return _as(result, found.devices[0] if found.devices else "")
        return None

    def _payload(self, expression: Payload) -> Spread:
        layouts = _LAYOUTS.get(expression.base)
        if layouts is None:
            return self._open()
        values: dict[Any, int] = {}
        unknown = 0
        sides = (
            (self.packets.four, self.packets.six) if expression.base == "nh" else (self.packets.tcp, self.packets.udp)
        )
        for layout, bits in zip(layouts, sides, strict=True):
            part = self._cut(layout, expression, bits)
            unknown |= part.unknown
            for value, had in part.values.items():
                values[value] = values.get(value, 0) | had
        return Spread(values, unknown)

    def _cut(self, layout: tuple[tuple[int, int, str], ...], wanted: Payload, bits: int) -> Spread:
        first, last = wanted.offset, wanted.offset + wanted.length
        pieces = [(start, length, name) for start, length, name in layout if start < last and first < start + length]
        covered = sum(min(last, start + length) - max(first, start) for start, length, _ in pieces)
        if covered != wanted.length or not pieces:
            return Spread({}, bits)
        parts = [(self.packets.get(name) or NOTHING).within(bits) for _, _, name in pieces]

        def assemble(values: tuple[int, ...]) -> int:
            total = 0
            for (start, length, _), value in zip(pieces, values, strict=True):
                low, high = max(first, start), min(last, start + length)
                total = total << (high - low) | (value >> (start + length - high)) & ((1 << (high - low)) - 1)
            return total

        return product(parts).mapped(assemble)

    # ---- comparisons

    def split(self, match: Match) -> Split:
        """Return which packets may match and which may not."""
        right, operator = match.right, match.operator
        if isinstance(match.left, Concat) and isinstance(right, Members | SetRef):
            few = self._by_parts(match.left, right)
            if few is not None:
                return Split(few.miss, few.hit) if operator == "!=" else few
        left = self.value(match.left)
        if isinstance(right, Span | Name | Joined | Members | SetRef):
            found = self._among(left, match.left, right)
        elif isinstance(right, Constant):
            found = _compared(left, operator, right.value)
            return found if operator != "!=" else Split(found.miss, found.hit)
        else:
            found = _pairwise(left, self.value(right))
        return Split(found.miss, found.hit) if operator == "!=" else found

    def _among(self, left: Spread, key: Expression, right: Any) -> Split:
        if isinstance(right, Span):
            hit = left.between(right.low, right.high)
            return _halves(left, hit, lambda value: matches(right, value))
        if isinstance(right, Name) and not right.text.endswith("*"):
            return _halves(left, left.values.get(right.text, 0), lambda value: value == right.text)
        if isinstance(right, Name | Joined):
            hit = 0
            for value, bits in left.values.items():
                if matches(right, value):
                    hit |= bits
            return _halves(left, hit, lambda value: matches(right, value))
        index, unread, open_bits = self.index(right, key)
        found = _halves(left, index.hits(left), lambda value: index.find(value) is not None)
        hit, miss = found
        if unread:
            hit |= miss
        if open_bits:
            hit, miss = hit | (open_bits & left.present), miss | (open_bits & left.present)
        return self._dynamic(right, key, left, hit, miss) if isinstance(right, SetRef) else Split(hit, miss)

    def _by_parts(self, left: Concat, right: Members | SetRef) -> Split | None:
        """Return the split for a small set of concatenations without making the concatenation; None where that would not be right."""
        index, unread, open_bits = self.index(right, left)
        if unread or open_bits or index.excludes or len(index.elements) > _SMALL:
            return None
        if isinstance(right, SetRef) and self.packets.updates:
            return None
        parts = [self.value(part) for part in left.parts]
        present = self.packets.everyone
        for part in parts:
            if part.multi:
                return None
            present &= part.known
        hit = index.hits_by_parts(parts) & present
        return Split(hit, present & ~hit)

    def index(self, where: Members | SetRef, key: Expression) -> tuple[Index, bool, int]:
        """Return the elements of a set, whether more may be in it, and the packets for which nothing is known of it."""
        del key
        holder: Members | NamedSet | None = self._sets(where) if isinstance(where, SetRef) else where
        if holder is None:
            return Index(()), True, -1
        known = self._indexes.get(id(holder))
        if known is None or known[0] is not holder:
            known = self._indexes[id(holder)] = (holder, Index(holder.elements))
        return known[1], isinstance(holder, NamedSet) and bool(holder.unread), 0

    def _dynamic(self, ref: SetRef, key: Expression, left: Spread, hit: int, miss: int) -> Split:
        for name, added, values, sure, may, gone in self.packets.updates:
            if name != ref.name:
                continue
            same = added == key and values is left
            if gone:
                miss |= may & left.present
                hit &= ~sure if same else -1
            else:
                hit |= may & left.present
                miss &= ~sure if same else -1
        return Split(hit, miss)


def _halves(left: Spread, hit: int, is_match: Callable[[Any], bool]) -> Split:
    """Return hit and miss from the bits of matching values; packets with several values are looked at value by value."""
    miss = left.known & ~hit
    if left.multi:
        for value, bits in left.values.items():
            if bits & left.multi & hit and not is_match(value):
                miss |= bits & left.multi
    return Split(hit | left.unknown, miss | left.unknown)


def _compared(left: Spread, operator: str, right: Any) -> Split:
    tests: dict[str, Callable[[Any], bool]] = {
        "==": lambda value: value == right,
        "!=": lambda value: value == right,
        "<": lambda value: value < right,
        ">": lambda value: value > right,
        "<=": lambda value: value <= right,
        ">=": lambda value: value >= right,
        "any": lambda value: value & right != 0,
        "none": lambda value: value & right == 0,
    }
    test = tests.get(operator)
    if test is None:
        return Split(left.present, left.present)
    if operator in ("==", "!=") and not left.multi:
        hit = left.values.get(right, 0)
        return Split(hit, left.known & ~hit)
    hit = miss = left.unknown
    for value, bits in left.values.items():
        if isinstance(value, int) != isinstance(right, int):
            if operator in ("==", "!="):
                miss |= bits
            else:
                hit, miss = hit | bits, miss | bits
        elif test(value):
            hit |= bits
        else:
            miss |= bits
    return Split(hit, miss)


def _pairwise(left: Spread, right: Spread) -> Split:
    both = left.present & right.present
    open_bits = (left.unknown | right.unknown) & both
    hit = miss = open_bits
    for value, bits in left.values.items():
        same = right.values.get(value, 0)
        hit |= bits & same
        others = right.known & ~same | (right.multi & bits)
        miss |= bits & others & both
    return Split(hit, miss)


def _numeric(spread: Spread) -> Spread:
    if all(isinstance(value, int) for value in spread.values):
        return spread
    numbers = {value: bits for value, bits in spread.values.items() if isinstance(value, int)}
    rest = 0
    for value, bits in spread.values.items():
        if not isinstance(value, int):
            rest |= bits
    return Spread(numbers, spread.unknown | rest)


def _apply(operator: str, left: int, right: int, mask: int) -> int:
    if operator == "&":
        return left & right
    if operator == "|":
        return left | right
    if operator == "^":
        return left ^ right
    if operator == "<<":
        return (left << min(right, 256)) & mask
    return left >> min(right, 256)


def _as(result: str, device: str) -> Any:
    return device if result in ("oif", "oifname") else int(bool(device))
