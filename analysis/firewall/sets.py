"""Finds a value in a set or map without walking through it: bisection over intervals, dictionaries for names and concatenations."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from analysis.firewall.cohort import Spread
from analysis.firewall.model import Element, Joined, Name, Span

_FEW = 8


class Numbers:
    """Intervals of numbers. Where they overlap (ipset), the smallest that covers a value decides."""

    def __init__(self, elements: Iterable[Element]) -> None:
        spans = sorted((e for e in elements if isinstance(e.key, Span)), key=_low)
        self.layers = [spans] if not _overlap(spans) else _by_size(spans)
        self.lows = [[_low(element) for element in layer] for layer in self.layers]

    def find(self, value: int) -> Element | None:
        """Return the element that covers `value`."""
        for layer, lows in zip(self.layers, self.lows, strict=True):
            place = bisect_right(lows, value) - 1
            if place >= 0 and value <= layer[place].key.high:  # type: ignore[union-attr]
                return layer[place]
        return None


class Names:
    """Strings, exactly or by their beginning (`eth*`); of several beginnings the longest decides."""

    def __init__(self, elements: Iterable[Element]) -> None:
        self.exact: dict[str, Element] = {}
        self.beginnings: list[tuple[str, Element]] = []
        for element in elements:
            if not isinstance(element.key, Name):
                continue
            text = element.key.text
            if text.endswith("*"):
                self.beginnings.append((text[:-1], element))
            else:
                self.exact[text] = element
        self.beginnings.sort(key=lambda entry: -len(entry[0]))

    def find(self, value: str) -> Element | None:
        """Return the element that `value` matches."""
        found = self.exact.get(value)
        if found is not None:
            return found
        return next((element for start, element in self.beginnings if value.startswith(start)), None)


class Concatenations:
    """Keys of several parts. Elements alike in which parts are exact share a dictionary by those; then intervals of the first other."""

    def __init__(self, elements: Iterable[Element]) -> None:
        shapes: dict[tuple[bool, ...], dict[tuple[Any, ...], list[Element]]] = {}
        for element in elements:
            if isinstance(element.key, Joined):
                shape = tuple(_exact(part) is not None for part in element.key.parts)
                exact = tuple(_exact(part) for part in element.key.parts if _exact(part) is not None)
                shapes.setdefault(shape, {}).setdefault(exact, []).append(element)
        self.shapes = [
            (len(shape), _chooser(shape), {k: _Bucket(shape, v) for k, v in groups.items()})
            for shape, groups in shapes.items()
        ]

    def find(self, value: tuple[Any, ...]) -> Element | None:
        """Return the element all of whose parts match; of several the one with the smallest intervals."""
        best: Element | None = None
        for length, exact, buckets in self.shapes:
            if length != len(value):
                continue
            bucket = buckets.get(exact(value))
            found = bucket.find(value) if bucket else None
            if found is not None and (best is None or _size(found) < _size(best)):
                best = found
        return best


def _chooser(shape: tuple[bool, ...]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what takes the exact parts out of a value."""
    if all(shape):
        return lambda value: value
    places = tuple(place for place, fixed in enumerate(shape) if fixed)
    return lambda value: tuple([value[place] for place in places])


class _Bucket:
    """Elements of one shape with the same exact parts."""

    def __init__(self, shape: tuple[bool, ...], elements: list[Element]) -> None:
        self.first = next((place for place, fixed in enumerate(shape) if not fixed), -1)
        self.elements = sorted(elements, key=_size) if len(elements) > 1 else elements
        self.numbers: dict[tuple[int, int], list[Element]] = {}
        self.index: Numbers | None = None
        if self.first < 0 or len(elements) <= _FEW:
            return
        spans = {part for element in elements if isinstance(part := _part(element, self.first), Span)}
        if any(not isinstance(_part(element, self.first), Span) for element in elements) or _overlap(
            sorted((Element(span) for span in spans), key=_low)
        ):
            return
        self.index = Numbers([Element(span) for span in spans])
        for element in self.elements:
            span = _part(element, self.first)
            if isinstance(span, Span):
                self.numbers.setdefault((span.low, span.high), []).append(element)

    def find(self, value: tuple[Any, ...]) -> Element | None:
        if self.first < 0:
            return self.elements[0]
        candidates = self.elements
        if self.index is not None and isinstance(value[self.first], int):
            span = self.index.find(value[self.first])
            if span is None or not isinstance(span.key, Span):
                return None
            candidates = self.numbers[span.key.low, span.key.high]
        return next((element for element in candidates if _covers(element.key, value)), None)


class Index:
    """All elements of one set, ready to be asked."""

    def __init__(self, elements: tuple[Element, ...]) -> None:
        self.elements = elements
        self.numbers = Numbers(elements)
        self.names = Names(elements)
        self.concatenations = Concatenations(elements)
        self.excludes = any(element.excluded for element in elements)
        self.plain = len(self.numbers.layers) <= 1 and all(isinstance(e.key, Span) and not e.excluded for e in elements)

    def find(self, value: Any) -> Element | None:
        """Return the element that decides about `value`, or None; one that is `excluded` counts as none."""
        if isinstance(value, tuple):
            found = self.concatenations.find(value)
        elif isinstance(value, int):
            found = self.numbers.find(value)
        else:
            found = self.names.find(value)
        return None if found is not None and found.excluded else found

    def hits(self, spread: Spread) -> int:
        """Return the bits of packets that (by a known value) are in the set."""
        bits = 0
        if self.plain and len(self.elements) < len(spread.values):
            for element in self.elements:
                bits |= spread.between(element.key.low, element.key.high)  # type: ignore[union-attr]
            return bits
        for value, had in spread.values.items():
            if had & ~bits and self.find(value) is not None:
                bits |= had
        return bits

    def hits_by_parts(self, parts: list[Spread]) -> int:
        """Return the same for concatenations, part by part; only right where no packet has several values and nothing is excluded."""
        bits = 0
        for element in self.elements:
            key = element.key
            if not isinstance(key, Joined) or len(key.parts) != len(parts):
                continue
            mine = -1
            for part, spread in zip(key.parts, parts, strict=True):
                mine &= _part_hits(part, spread)
                if not mine:
                    break
            bits |= mine
        return bits


def _part_hits(part: Span | Name, spread: Spread) -> int:
    if isinstance(part, Span):
        return spread.between(part.low, part.high)
    if not part.text.endswith("*"):
        return spread.values.get(part.text, 0)
    bits = 0
    for value, had in spread.values.items():
        if isinstance(value, str) and value.startswith(part.text[:-1]):
            bits |= had
    return bits


def matches(key: Any, value: Any) -> bool:
    """Say whether one key covers one value."""
    return _covers(key, value)


def _covers(key: Any, value: Any) -> bool:
    if isinstance(key, Joined):
        return (
            isinstance(value, tuple)
            and len(value) == len(key.parts)
            and all(_covers(part, one) for part, one in zip(key.parts, value, strict=True))
        )
    if isinstance(key, Span):
        return isinstance(value, int) and key.low <= value <= key.high
    if not isinstance(value, str):
        return False
    text: str = key.text
    return value.startswith(text[:-1]) if text.endswith("*") else value == text


def _low(element: Element) -> int:
    return element.key.low if isinstance(element.key, Span) else 0


def _part(element: Element, place: int) -> Any:
    return element.key.parts[place] if isinstance(element.key, Joined) else element.key


def _exact(part: Span | Name) -> Any:
    if isinstance(part, Span):
        return part.low if part.low == part.high else None
    return None if part.text.endswith("*") else part.text


def _size(element: Element) -> tuple[int, int]:
    """Return how much an element covers: its numbers first, then names of which only the beginning is given."""
    parts = element.key.parts if isinstance(element.key, Joined) else (element.key,)
    numbers = sum((part.high - part.low).bit_length() for part in parts if isinstance(part, Span))
    return numbers, sum(1 for part in parts if isinstance(part, Name) and part.text.endswith("*"))


def _overlap(spans: list[Element]) -> bool:
    end = -1
    for element in spans:
        if isinstance(element.key, Span):
            if element.key.low <= end:
                return True
            end = element.key.high
    return False


def _by_size(spans: list[Element]) -> list[list[Element]]:
    """Return layers within which nothing overlaps, smaller intervals in earlier layers."""
    layers: list[tuple[int, list[Element]]] = []
    for element in sorted(spans, key=lambda one: (_width(one), _low(one))):
        if layers and layers[-1][0] == _width(element) and _low(element) > _high(layers[-1][1][-1]):
            layers[-1][1].append(element)
        else:
            layers.append((_width(element), [element]))
    return [layer for _, layer in layers]


def _width(element: Element) -> int:
    return _high(element) - _low(element)


def _high(element: Element) -> int:
    return element.key.high if isinstance(element.key, Span) else 0
