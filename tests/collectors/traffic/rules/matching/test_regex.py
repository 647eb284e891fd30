"""Expressions mean what Perl means, and end at their limit."""

import time

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.matching.regex import LIMIT_INTERPRETED, Expression, TooHard, perl


@pytest.mark.parametrize(
    ("pattern", "flags", "data", "expected"),
    [
        (rb"a\x41", "", b"aA", True),
        (rb"\x{41}", "", b"A", True),
        (rb"^\x9$", "", b"\t", True),
        (rb"\x\x41", "", b"\0A", True),
        (rb"\\x41", "", rb"\x41", True),
        (rb"a.b", "", b"a\nb", False),
        (rb"a.b", "s", b"a\nb", True),
        (rb"^b", "", b"a\nb", False),
        (rb"^b", "m", b"a\nb", True),
        (rb"AB", "i", b"ab", True),
        (rb"a b", "x", b"ab", True),
        (rb"b", "A", b"ab", False),
        (rb"a|b", "A", b"b", True),
        (rb"b # a", "Ax", b"ab", False),
        (rb"b$", "", b"b\n", True),
        (rb"b$", "E", b"b\n", False),
        (rb"\xff", "", b"\xff", True),
        (rb"(a)\1", "", b"aa", True),
        (rb"a(?=b)", "", b"ab", True),
        (rb"a++a", "", b"aaa", False),
        (rb"[[:digit:]]\h\R", "", b"1\t\r\n", True),
    ],
)
def test_flags_and_escapes_are_perls(pattern: bytes, flags: str, data: bytes, expected: bool) -> None:
    assert (Expression(pattern, flags).search(data) is not None) is expected


def test_greed_is_turned_round_by_its_flag() -> None:
    assert Expression(b"a+").search(b"aaa").end() == 3
    assert Expression(b"a+", "G").search(b"aaa").end() == 1


def test_a_search_begins_where_it_is_told_and_sees_what_is_before() -> None:
    assert Expression(b"(?<=a)b").search(b"ab", 1).start() == 1


@pytest.mark.parametrize("flags", ["", "O"])
@pytest.mark.parametrize("bomb", [rb"^(a+)+$", rb"^(a|a)*$", rb"^(a|aa)+$", rb"(x+x+)+y", rb"^((a*)*)*$"])
def test_bombs_end_soon_and_are_counted(bomb: bytes, flags: str) -> None:
    expression = Expression(bomb, flags)
    began = time.process_time()
    for data in (b"a" * 5000 + b"b", b"x" * 5000):
        try:
            expression.search(data)
        except TooHard:
            pass
    assert time.process_time() - began < 2
    assert expression.given_up >= 1 or bomb == rb"(x+x+)+y"


def test_without_compiled_code_the_limit_is_that_of_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    import pcre2

    plain = pcre2.compile
    asked: list[bytes] = []

    def no_code(pattern: bytes, flags: int = 0, *, jit: bool = True) -> object:
        asked.append(pattern)
        if jit:
            raise pcre2.LibraryError(-48)
        return plain(pattern, flags, jit=False)

    monkeypatch.setattr(pcre2, "compile", no_code)
    expression = Expression(b"^(a+)+$")
    with pytest.raises(TooHard):
        expression.search(b"a" * 40 + b"b")
    assert asked[-1].startswith(b"(*LIMIT_MATCH=%d)" % LIMIT_INTERPRETED)


def test_a_pattern_without_hexadecimal_stays_as_it_is() -> None:
    assert perl(rb"a\\b[^\d]") == rb"a\\b[^\d]"
    assert perl(rb"\x4") == rb"\x04"


def test_what_pcre_cannot_read_is_refused() -> None:
    with pytest.raises(Refused, match="not supported"):
        Expression(rb"\u0041")
    with pytest.raises(Refused, match="more than"):
        Expression(b"a" * 70_000).check()
