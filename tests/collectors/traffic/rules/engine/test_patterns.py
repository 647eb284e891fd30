"""The prefilter finds whatever a plain search finds, and stands for the right rules."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.rules.engine.kept import Kept
from collectors.traffic.rules.engine.patterns import Pattern, Prefilter

LETTERS = st.sampled_from(list(b"aAbB\x00\xff."))
WORD = st.lists(LETTERS, min_size=1, max_size=6).map(bytes)
TEXT = st.lists(LETTERS, max_size=40).map(bytes)
PATTERN = st.builds(Pattern, WORD, st.booleans(), st.sampled_from([0, 0, 4, 10]))


def _naive(pattern: Pattern, data: bytes) -> bool:
    text = data.lower() if pattern.nocase else data
    at = text.find(pattern.literal)
    return at >= 0 and (not pattern.last or at + len(pattern.literal) <= pattern.last)


def _built(patterns: list[Pattern]) -> Prefilter:
    prefilter = Prefilter()
    for rule, pattern in enumerate(patterns):
        prefilter.add(pattern, rule)
    prefilter.compile()
    return prefilter


@settings(max_examples=60, deadline=None)
@given(st.lists(PATTERN, min_size=1, max_size=8), st.lists(TEXT, min_size=1, max_size=6))
def test_it_finds_what_a_plain_search_finds(patterns: list[Pattern], texts: list[bytes]) -> None:
    prefilter = _built(patterns)
    wanted = [{rule for rule, one in enumerate(patterns) if _naive(one, text)} for text in texts]
    assert [prefilter.rules(prefilter.find(text)) for text in texts] == wanted
    found: list[set[int]] = [set() for _ in texts]
    names, numbers = prefilter.find_all(range(len(texts)), texts)
    for name, number in zip(names.tolist(), numbers.tolist(), strict=True):
        found[name] |= prefilter.rules([number])
    assert found == wanted
    pieces, rules = prefilter.pairs(range(len(texts)), texts)
    assert set(zip(pieces.tolist(), rules.tolist(), strict=True)) == {
        (piece, rule) for piece, those in enumerate(wanted) for rule in those
    }


@settings(max_examples=15, deadline=None)
@given(st.lists(PATTERN, min_size=1, max_size=6), TEXT)
def test_a_database_that_was_kept_finds_the_same(patterns: list[Pattern], text: bytes) -> None:
    made = _built(patterns)
    kept = Prefilter(msgspec.msgpack.decode(msgspec.msgpack.encode(made.keep()), type=Kept))
    assert kept.rules(kept.find(text)) == made.rules(made.find(text))
    assert (len(kept), kept.longest) == (len(made), max(len(one.literal) for one in patterns))


def test_rules_with_one_pattern_share_it() -> None:
    prefilter = _built([Pattern(b"one"), Pattern(b"ONE", nocase=True), Pattern(b"one"), Pattern(b"one", last=3)])
    assert len(prefilter) == 3
    assert prefilter.rules(prefilter.find(b"a one")) == {0, 1, 2}
    assert prefilter.rules(prefilter.find(b"One")) == {1}


def test_without_patterns_nothing_is_found() -> None:
    prefilter = _built([])
    names, numbers = prefilter.find_all([1], [b"x"])
    assert (prefilter.find(b"x"), len(names), len(numbers), prefilter.keep().database) == ([], 0, 0, b"")


def test_a_place_beyond_what_offsets_reach_is_left_open() -> None:
    prefilter = _built([Pattern(b"x", last=70_000), Pattern(b"y", last=5)])
    assert prefilter.rules(prefilter.find(bytes(80_000) + b"xy")) == {0}


def test_a_pattern_is_bound_to_its_place_whoever_minds_it() -> None:
    prefilter = _built([Pattern(b"ab", last=4), Pattern(b"abcdefgh", last=10)])
    assert prefilter.rules(prefilter.find(b"..abcdefgh")) == {0, 1}
    assert prefilter.rules(prefilter.find(b"...abcdefgh")) == set()
    assert prefilter.rules(prefilter.find(b"abcdefgh...abcdefgh")) == {0, 1}


def test_few_bytes_that_have_to_be_the_first_are_not_told_where_they_are_not() -> None:
    first, anywhere = Pattern(b"\x01\x00\x00\x00", last=4), Pattern(b"\x01\x00\x00\x00")
    assert (first.expression, anywhere.expression[:4]) == ("^" + anywhere.expression, r"\x01")
    prefilter = _built([first, Pattern(b"Ab", nocase=True, last=2), Pattern(b"Ab", last=3)])
    texts = [b"\x01\x00\x00\x00ab", b"\n\x01\x00\x00\x00", b"aB", b"\naB", b"\nAb", b"Abab"]
    assert [prefilter.rules(prefilter.find(text)) for text in texts] == [{0}, set(), {1}, set(), {2}, {1, 2}]
