"""Looking up in a set is what walking through it would say, only sooner."""

import time

from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.cohort import grouped, numbers
from analysis.firewall.model import Element, Joined, Name, Span
from analysis.firewall.sets import Index, matches

SPANS = st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))
NAMES = st.sampled_from(["lo", "eth0", "eth1", "eth*", "e*", "wan0"]).map(Name)


@given(st.lists(SPANS, max_size=12), st.integers(0, 70))
def test_intervals_even_if_they_overlap(spans: list[Span], value: int) -> None:
    assert (Index(tuple(map(Element, spans))).find(value) is not None) == any(matches(span, value) for span in spans)


@given(st.lists(NAMES, max_size=6), st.sampled_from(["lo", "eth0", "eth7", "wan0", ""]))
def test_names_and_their_beginnings(names: list[Name], value: str) -> None:
    assert (Index(tuple(map(Element, names))).find(value) is not None) == any(matches(name, value) for name in names)


@given(
    st.lists(st.tuples(SPANS, SPANS, NAMES), max_size=30),
    st.tuples(st.integers(0, 70), st.integers(0, 70), st.sampled_from(["lo", "eth0"])),
)
def test_concatenations(parts: list[tuple[Span, Span, Name]], value: tuple[int, int, str]) -> None:
    keys = [Joined(part) for part in parts]
    assert (Index(tuple(map(Element, keys))).find(value) is not None) == any(matches(key, value) for key in keys)


@given(st.lists(SPANS, max_size=6), st.dictionaries(st.integers(0, 20), st.integers(0, 70), max_size=20))
def test_many_packets_at_once(spans: list[Span], rows: dict[int, int]) -> None:
    index = Index(tuple(map(Element, spans)))
    assert set(numbers(index.hits(grouped(rows)))) == {bit for bit, value in rows.items() if index.find(value)}


@given(
    st.lists(st.tuples(SPANS, SPANS), max_size=8),
    st.dictionaries(st.integers(0, 20), st.tuples(st.integers(0, 70), st.integers(0, 70))),
)
def test_part_by_part_says_the_same(parts: list[tuple[Span, Span]], rows: dict[int, tuple[int, int]]) -> None:
    index = Index(tuple(Element(Joined(part)) for part in parts))
    columns = [grouped({bit: pair[place] for bit, pair in rows.items()}) for place in (0, 1)]
    assert set(numbers(index.hits_by_parts(columns))) == {bit for bit, pair in rows.items() if index.find(pair)}


def test_the_smallest_element_decides_and_may_say_no() -> None:
    index = Index((Element(Span(0, 100)), Element(Span(10, 20), excluded=True), Element(Span(15, 15))))
    assert [index.find(value) is not None for value in (5, 12, 15, 50, 101)] == [True, False, True, True, False]


def test_a_hundred_thousand_intervals_are_not_walked_through() -> None:
    index = Index(tuple(Element(Span(number * 10, number * 10 + 4)) for number in range(100_000)))
    start = time.process_time()
    found = [index.find(number * 10 + number % 10) is not None for number in range(5_000)]
    assert time.process_time() - start < 0.5
    assert found == [number % 10 <= 4 for number in range(5_000)]
