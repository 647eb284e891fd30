"""Languages by name and content, comments, strings in pieces, and entropy."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.webshell_words import entropy, joined, language, literals, without_comments


def test_a_language_shows_by_name_or_by_content() -> None:
    names = ["x.php", "x.phtml", "x.jsp", "x.aspx", "x.cgi", "x.js", "a/.htaccess", "x.css"]
    assert [language(name, "") for name in names] == ["php", "php", "jsp", "asp", "cgi", "node", "htaccess", ""]
    assert language("x.jpg", "GIF89a <?php echo 1;") == "php"
    assert language("x", "#!/usr/bin/env python3\n") == "cgi"
    assert language("x.xml", '<?xml version="1.0"?>') == ""


def test_strings_in_pieces_are_joined_and_letters_by_number_read() -> None:
    assert "'system'" in joined("$a = 'sy' . \"st\" . 'em';")
    assert "system" in joined(r'"\x73\x79stem"') and "system" in joined(r'"\163\171stem"')
    assert joined("('assert')($x)") == "assert($x)"


def test_comments_go_and_strings_stay() -> None:
    assert without_comments("a(); // b\n# c\n/* d */ e('// f', \"# g\");").split() == [
        "a();",
        "e('//",
        "f',",
        '"#',
        'g");',
    ]


def test_packed_data_is_denser_than_prose() -> None:
    assert (
        entropy("the quick brown fox jumps over the lazy dog " * 9)
        < 4.5
        < entropy("".join(map(chr, range(33, 126))) * 4)
    )


@given(st.text(max_size=300))
def test_any_code_is_read(code: str) -> None:
    joined(without_comments(code))
    literals(code)
    assert 0 <= entropy(code) <= 9
