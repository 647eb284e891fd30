"""Options as text."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.options import split, unquote


def test_a_backslash_keeps_a_semicolon() -> None:
    assert list(split(r'msg:"a\; b"; nocase ; content : "c:d";')) == [
        ("msg", r'"a\; b"'),
        ("nocase", None),
        ("content", '"c:d"'),
    ]


def test_the_last_option_ends_too() -> None:
    with pytest.raises(Refused):
        list(split("sid:1"))


def test_quotes_are_taken_off_or_missed() -> None:
    assert unquote("msg", '"a"', True) == "a" and unquote("xor", "ab", False) == "ab"
    for text in ("a", '"a', '"'):
        with pytest.raises(Refused):
            unquote("msg", text, True)
