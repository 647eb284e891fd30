"""Contents put together to one pattern: what passes the rule's own tests has the pattern, whatever the bytes are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.rules.engine.patterns import Pattern, Prefilter
from collectors.traffic.rules.engine.sequences import MOST_GAP, sequences
from collectors.traffic.rules.language.rule import BufferTest
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from tests.collectors.traffic.rules.engine import scene

WORD = st.text("abA", min_size=1, max_size=2)
SMALL = st.integers(0, 3)


@st.composite
def _content(draw: st.DrawFn) -> str:
    word, negated = draw(WORD), draw(st.sampled_from(["", "", "", "!"]))
    place = draw(st.sampled_from(["", "exact", "behind", "behind", "near", "depth"]))
    gap = draw(SMALL)
    after = {
        "": "",
        "exact": f"offset:{gap}; depth:{len(word)};",
        "behind": f"distance:{gap}; within:{len(word)};",
        "near": f"distance:{gap}; within:{len(word) + 2};",
        "depth": f"depth:{len(word) + gap};",
    }[place]
    return f'content:{negated}"{word}"; {after}{draw(st.sampled_from(["", "nocase; "]))}'


OTHER = st.sampled_from(
    ["byte_test:1,>,0,0,relative; ", "byte_test:1,=,97,1; ", 'pcre:"/b/"; ', "isdataat:1,relative; "]
)
PARTS = st.lists(st.one_of(_content(), _content(), OTHER), min_size=2, max_size=5)
TEXT = st.text("abA", max_size=14).map(str.encode)


def _test(words: str) -> BufferTest:
    payload = scene.rules(f"alert udp any any -> any any ({words})")[0].payload
    assert payload is not None
    return payload


def _finder(patterns: list[Pattern]) -> Prefilter:
    prefilter = Prefilter()
    for number, pattern in enumerate(patterns):
        prefilter.add(pattern, number)
    prefilter.compile()
    return prefilter


@settings(max_examples=250, deadline=None)
@given(PARTS, st.lists(TEXT, min_size=12, max_size=12))
def test_what_passes_the_rule_has_every_pattern(parts: list[str], texts: list[bytes]) -> None:
    test = _test("".join(parts) + 'content:"a";')
    patterns = [pattern for pattern, _ in sequences(test)]
    finder, match = _finder(patterns), Matcher(test)
    for text in texts:
        if match(text, State()):
            assert finder.rules(finder.find(text)) == set(range(len(patterns)))


@pytest.mark.parametrize(
    ("words", "expression", "last"),
    [
        (r'content:"a"; depth:1; content:"b"; distance:19; within:1;', r"^\x61.{19}\x62", 21),
        (r'content:"a"; depth:1; content:"b"; offset:1; depth:1;', r"^\x61\x62", 2),
        (r'content:"ab"; content:"c"; distance:2; within:1;', r"\x61\x62.{2}\x63", 0),
        (r'content:"a"; nocase; content:"c"; distance:0; within:1;', r"(?i:\x61)\x63", 0),
        (r'content:"a"; depth:1; byte_test:1,>,0,0,relative; content:"b"; distance:3; within:1;', r"^\x61.{3}\x62", 5),
    ],
)
def test_contents_at_fixed_places_are_one_pattern(words: str, expression: str, last: int) -> None:
    assert [(pattern.expression, pattern.last) for pattern, _ in sequences(_test(words))] == [(expression, last)]


@pytest.mark.parametrize(
    "words",
    [
        'content:"a"; content:"b";',
        'content:"a"; content:"b"; distance:0;',
        'content:"a"; pcre:"/x/R"; content:"b"; distance:1; within:1;',
        'content:"a"; byte_jump:1,0,relative; content:"b"; within:1;',
        'content:"a"; content:!"b"; distance:0; within:1;',
        f'content:"a"; content:"b"; distance:{MOST_GAP + 1}; within:1;',
    ],
)
def test_others_are_left_alone(words: str) -> None:
    assert [len(named) for _, named in sequences(_test(words)) if len(named) > 1] == []
