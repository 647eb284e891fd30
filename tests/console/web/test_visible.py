"""Text from elsewhere is made visible and bounded."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from console.web.visible import finalize, visible


def test_plain_text_in_any_script_stays_as_it_is():
    for text in ("plain", "größer", "日本語", "مرحبا", "line\nline\ttab", ""):
        assert visible(text) == text


def test_hidden_characters_are_written_out():
    assert visible("a\u202etxt.exe") == "a⟨U+202E⟩txt.exe"
    assert visible("\x1b[31mred") == "⟨U+001B⟩[31mred"
    assert visible("zero\u200bwidth") == "zero⟨U+200B⟩width"
    assert visible("a\x00b") == "a⟨U+0000⟩b"
    assert visible("\ud800") == "⟨U+D800⟩"


def test_long_text_is_cut_and_says_by_how_much():
    assert visible("x" * 5000, limit=10) == "xxxxxxxxxx… (4990 more characters)"


def test_towers_of_marks_are_lowered():
    assert len(visible("a" + "\u0301" * 200)) == 4


@given(st.text(st.characters(exclude_categories=[]), max_size=200))
def test_what_comes_out_can_always_be_sent_and_hides_nothing(text):
    shown = visible(text)
    shown.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in shown if c not in "\n\t")


def test_our_own_markup_passes_and_numbers_stay_numbers():
    assert finalize(Markup("<b>")) == Markup("<b>")
    assert finalize(7) == 7
