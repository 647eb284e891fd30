"""Which rules are worth evaluating for a transaction: by the patterns in its buffers, each buffer looked through once."""

from collections import OrderedDict
from collections.abc import Iterable

from collectors.traffic.protocols import names
from collectors.traffic.protocols.news import Transaction
from collectors.traffic.rules.engine.kept import KeptBuffer, KeptOpen
from collectors.traffic.rules.engine.patterns import Prefilter
from collectors.traffic.rules.engine.plan import BOTH, TRANSACTION, Compiled
from collectors.traffic.rules.language.rule import Transform
from collectors.traffic.rules.matching.transforms import Change, changes

MOST_REMEMBERED = 16_384
"""Sides of transactions of which is remembered what was found in them; one that is forgotten is looked through again."""


class _Filter:
    __slots__ = ("buffer", "change", "prefilter", "protocols", "sides", "transforms", "within")

    def __init__(self, buffer: str, transforms: tuple[Transform, ...], within: bool, prefilter: Prefilter) -> None:
        known = names.BUFFERS.get(buffer)
        self.buffer = buffer
        self.transforms = transforms
        self.within = within
        self.prefilter = prefilter
        self.change: Change | None = changes(transforms)
        self.protocols = frozenset(known.protocols) if known is not None else None
        self.sides = known.sides if known is not None else names.BOTH

    def fits(self, protocol: str, to_client: bool) -> bool:
        """Return whether transactions of a protocol have the buffer on that side."""
        if self.protocols is not None and protocol not in self.protocols:
            return False
        return self.within or bool(self.sides & (names.CLIENT if to_client else names.SERVER))


class _Seen:
    """What was found in one side of a transaction: the rules, and by buffer the lengths and hashes of the values looked through."""

    __slots__ = ("rules", "values")

    def __init__(self) -> None:
        self.rules: set[int] = set()
        self.values: dict[str, list[tuple[int, int]]] = {}


class _Part:
    """A buffer that a side of a protocol's transactions may have, with its filters."""

    __slots__ = ("filters", "grows", "key", "name", "within")

    def __init__(self, name: str, within: bool) -> None:
        self.name = name
        self.within = within
        self.key = "=" + name if within else name
        self.grows = name in GROWING
        self.filters: list[tuple[int, _Filter]] = []


Piece = tuple[int, bytes | memoryview]
"""A place among the sides that are asked about, and bytes of one of its buffers."""

AT_ONCE = 16 * 1024 * 1024
"""Bytes that are gathered before they are looked through: parsers keep small what inflates (`packing`), and hand it out as it is."""

GROWING = frozenset({"file.data", "http.request_body", "http.response_body"})
"""Buffers that may become long, and do so at their end alone: what they held stays as it was."""


def _look(seen: _Seen, part: _Part, values: list[bytes], place: int, pieces: list[list[Piece]]) -> None:
    """Add what a buffer holds that was not looked through before to what is to be looked through: by filter, for `place`."""
    before = seen.values.get(part.key, _NOTHING)
    now = [(len(value), 0) for value in values] if part.grows else [(len(value), hash(value)) for value in values]
    if now == before:
        return
    seen.values[part.key] = now
    for at, value in enumerate(values):
        known = before[at] if at < len(before) else None
        if known == now[at]:
            continue
        for number, one in part.filters:
            if one.change is not None:
                piece = one.change(value)
            elif part.grows and known is not None:
                # What may begin in the old part and end in the new one is looked at again.
                piece = value[max(0, known[0] - one.prefilter.longest + 1) :]
            else:
                piece = value
            pieces[number].append((place, piece))


def _look_once(part: _Part, values: list[bytes], place: int, pieces: list[list[Piece]]) -> None:
    """Add all that a buffer holds: nothing of it was looked through before, nothing will be again."""
    for value in values:
        for number, one in part.filters:
            pieces[number].append((place, value if one.change is None else one.change(value)))


_NOTHING: list[tuple[int, int]] = []

Asked = tuple[int, Transaction, str, bool]
"""The serial number of a flow, a transaction of it, the conversation's protocol, and the side (to client)."""


class BufferFilters:
    """A prefilter for each buffer with its transforms."""

    def __init__(
        self, rules: Iterable[Compiled] = (), kept: tuple[list[KeptBuffer], list[KeptOpen]] | None = None
    ) -> None:
        self._filters: list[_Filter] = []
        self._open: list[KeptOpen] = []
        self._plans: dict[tuple[str, bool], list[_Part]] = {}
        self._open_plans: dict[tuple[str, str, bool], list[int]] = {}
        self._seen: OrderedDict[tuple[int, int, str, bool], _Seen] = OrderedDict()
        self.scans = 0
        if kept is not None:
            self._filters = [
                _Filter(one.buffer, one.transforms, one.within, Prefilter(one.prefilter)) for one in kept[0]
            ]
            self._open = kept[1]
        else:
            self._build(rules)

    def _build(self, rules: Iterable[Compiled]) -> None:
        found: dict[tuple[str, tuple[Transform, ...], bool], _Filter] = {}
        for one in rules:
            if one.kind != TRANSACTION:
                continue
            if one.fast is None or one.fast_key is None or one.fast_key[0] == "payload":
                applications = None if one.applications is None else tuple(sorted(one.applications))
                self._open.append(KeptOpen(rule=one.order, direction=one.direction, applications=applications))
                continue
            key = (*one.fast_key, one.within_tx)
            if key not in found:
                found[key] = _Filter(*key, Prefilter())
            found[key].prefilter.add(one.fast, one.order)
        self._filters = list(found.values())
        for one_filter in self._filters:
            one_filter.prefilter.compile()

    def keep(self) -> tuple[list[KeptBuffer], list[KeptOpen]]:
        """Return the prefilters as they are kept."""
        kept = [
            KeptBuffer(buffer=one.buffer, transforms=one.transforms, within=one.within, prefilter=one.prefilter.keep())
            for one in self._filters
        ]
        return kept, self._open

    def find(self, asked: list[Asked]) -> list[list[int]]:
        """Return, for each side of a transaction, the rules to evaluate, in order: those whose pattern is in it, and those without one."""
        pieces: list[list[Piece]] = [[] for _ in self._filters]
        sides: list[_Seen | None] = []
        looked: dict[tuple[int, int, str, bool], _Seen] = {}
        gathered = 0
        for place, (owner, transaction, _, to_client) in enumerate(asked):
            plan = self._plans.get((transaction.protocol, to_client))
            if plan is None:
                plan = self._plan(transaction.protocol, to_client)
            if not plan:
                sides.append(None)
                continue
            key = (owner, transaction.number, transaction.protocol, to_client)
            seen = looked.get(key)
            if seen is not None:
                # A block is parsed as a whole: there is nothing in it that was not there before.
                sides.append(seen)
                continue
            seen = looked[key] = self._seen.pop(key) if key in self._seen else _Seen()
            sides.append(seen)
            once = transaction.done and not seen.values
            if not transaction.done:
                self._seen[key] = seen
            for part in plan:
                values = transaction.buffers(part.name, to_client)
                if part.within:
                    values = [*values, *transaction.buffers(part.name, not to_client)]
                if not values:
                    continue
                if once:
                    _look_once(part, values, place, pieces)
                else:
                    _look(seen, part, values, place, pieces)
                for value in values:
                    gathered += len(value)
            if gathered > AT_ONCE:
                self._scan(pieces, sides)
                pieces, gathered = [[] for _ in self._filters], 0
        while len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        self._scan(pieces, sides)
        return [
            self._all(seen, protocol, transaction, to_client)
            for seen, (_, transaction, protocol, to_client) in zip(sides, asked, strict=True)
        ]

    def _scan(self, pieces: list[list[Piece]], sides: list[_Seen | None]) -> None:
        """Look through what was gathered: note with each side the rules that a pattern in it stands for."""
        for number, wanted in enumerate(pieces):
            if not wanted:
                continue
            self.scans += len(wanted)
            places, rules = self._filters[number].prefilter.pairs(
                [place for place, _ in wanted], [data for _, data in wanted]
            )
            for place, rule in zip(places.tolist(), rules.tolist(), strict=True):
                side = sides[place]
                if side is not None:
                    side.rules.add(rule)

    def _plan(self, protocol: str, to_client: bool) -> list[_Part]:
        """Return the buffers that one side of a protocol's transactions may have, each with its filters."""
        found: dict[tuple[str, bool], _Part] = {}
        for number, one in enumerate(self._filters):
            if one.fits(protocol, to_client):
                key = (one.buffer, one.within)
                if key not in found:
                    found[key] = _Part(*key)
                found[key].filters.append((number, one))
        plan = self._plans[protocol, to_client] = list(found.values())
        return plan

    def _all(self, seen: _Seen | None, protocol: str, transaction: Transaction, to_client: bool) -> list[int]:
        waiting = self._without(protocol, transaction.protocol, to_client)
        return sorted({*seen.rules, *waiting}) if seen is not None and seen.rules else waiting

    def _without(self, protocol: str, spoken: str, to_client: bool) -> list[int]:
        """Return the rules without a pattern for one side of the transactions of a protocol."""
        key = (protocol, spoken, to_client)
        found = self._open_plans.get(key)
        if found is None:
            found = self._open_plans[key] = [
                one.rule
                for one in self._open
                if one.direction in (BOTH, int(to_client))
                and (one.applications is None or protocol in one.applications or spoken in one.applications)
            ]
        return found
