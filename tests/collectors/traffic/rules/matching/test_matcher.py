"""A buffer's tests hold exactly where a model that tries every place says so; and what ends a search is counted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import BufferTest
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from tests.collectors.traffic.rules.matching.reference import passes

PARSER = Parser()
FEW = "abA"


def payload(options: str) -> BufferTest:
    rule = PARSER.rule(f"alert tcp any any -> any any ({options} sid:1;)")
    assert rule.payload is not None
    return rule.payload


def holds(options: str, data: bytes) -> bool:
    return Matcher(payload(options))(data, State())


@st.composite
def contents(draw: st.DrawFn, first: bool) -> str:
    pattern = draw(st.text(FEW, min_size=1, max_size=3))
    length = len(pattern)
    words = [f'content:{draw(st.sampled_from(["", "", "", "!"]))}"{pattern}";']
    if draw(st.booleans()):
        words.append("nocase;")
    kind = draw(
        st.sampled_from(["", "absolute", "relative", "relative", "relative"] if not first else ["", "absolute"])
    )
    if kind == "absolute":
        if draw(st.booleans()):
            words.append(f"offset:{draw(st.integers(0, 6))};")
        if draw(st.booleans()):
            words.append(f"depth:{draw(st.integers(length, length + 6))};")
    elif kind == "relative":
        if draw(st.booleans()):
            words.append(f"distance:{draw(st.integers(-4, 4))};")
        if draw(st.booleans()):
            words.append(f"within:{draw(st.integers(length, length + 4))};")
        if len(words) == 1:
            words.append("distance:0;")
    return " ".join(words)


def _behind_a_negation(parts: list[str]) -> bool:
    """Suricata does not go back over a negated content that stands by itself; the model does."""
    return parts[-1].startswith("content:!") and "distance" not in parts[-1] and "within" not in parts[-1]


@st.composite
def options(draw: st.DrawFn) -> str:
    parts = [draw(contents(True))]
    for _ in range(draw(st.integers(0, 3))):
        other = draw(st.sampled_from(["content", "content", "content", "isdataat", "pcre"]))
        if other == "content":
            parts.append(draw(contents(_behind_a_negation(parts))))
        elif _behind_a_negation(parts):
            continue
        elif other == "isdataat":
            parts.append(f"isdataat:{draw(st.sampled_from(['', '!']))}{draw(st.integers(0, 8))},relative;")
        else:
            expression = draw(st.sampled_from(["a.", "b+", "^a", "a|ba", "[ab]A?", "b$"]))
            parts.append(f'pcre:"/{expression}/{draw(st.sampled_from(["", "R", "R"]))}";')
    return " ".join(parts)


@settings(max_examples=1000, deadline=None)
@given(options(), st.text(FEW + "x", max_size=14))
def test_the_compiled_tests_agree_with_the_model(words: str, text: str) -> None:
    test = payload(words)
    data = text.encode()
    assert Matcher(test)(data, State()) == passes(test, data), words


@settings(max_examples=300, deadline=None)
@given(st.text(FEW, min_size=1, max_size=3), st.booleans(), st.text(FEW + "x", max_size=10))
def test_endswith_is_the_end_of_the_buffer(pattern: str, starts: bool, text: str) -> None:
    words = f'content:"{pattern}"; {"startswith; " if starts else ""}endswith;'
    assert holds(words, text.encode()) == (text == pattern if starts else text.endswith(pattern))


def test_an_absent_buffer_is_absent_and_nothing_else() -> None:
    rule = PARSER.rule("alert http any any -> any any (http.referer; absent; sid:1;)")
    matcher = Matcher(rule.buffers[0])
    assert matcher(None, State()) and not matcher(b"x", State())
    either = Matcher(
        PARSER.rule('alert http any any -> any any (http.referer; absent:or_else; content:!"a"; sid:1;)').buffers[0]
    )
    assert either(None, State()) and either(b"x", State()) and not either(b"a", State())
    other = Matcher(PARSER.rule('alert http any any -> any any (http.referer; content:"a"; sid:1;)').buffers[0])
    assert not other(None, State())


def test_a_search_that_costs_too_much_is_given_up_and_counted() -> None:
    state = State()
    words = " ".join(['content:"a";', *['content:"a"; within:200;'] * 4, 'content:"b"; within:1;'])
    assert not Matcher(payload(words))(b"a" * 400, state)
    assert state.asked_too_much == 1


def test_what_was_transformed_is_what_is_tested() -> None:
    rule = PARSER.rule(
        'alert http any any -> any any (http.uri; url_decode; to_uppercase; content:"A B"; bsize:3; sid:1;)'
    )
    matcher = Matcher(rule.buffers[0])
    assert matcher(b"a%20b", State()) and not matcher(b"a_b", State())
    assert matcher.transformed(b"A B", State())


def test_a_chunk_counts_from_where_it_begins() -> None:
    rule = PARSER.rule('alert http any any -> any any (file.data; content:"ab"; depth:4; sid:1;)')
    matcher = Matcher(rule.buffers[0])
    assert matcher(b"xxab", State())
    assert not matcher(b"xxab", State(), begin=2)
    assert matcher(b"ab", State(), begin=2)
