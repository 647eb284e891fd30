"""The grammar of `iptables-save`'s lines, against `iptables-restore` itself, and for text that no tool wrote."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.firewall.xtables_lines import FLAGS, ONES, PAIRS, Line, Option, Word, read_line, words
from contracts.errors import Malformed

ALONE = ("unshare", "--net", "--")


def parsed(line: str) -> Line:
    return read_line(line, "INPUT")


def test_a_line_is_its_own_options_its_matches_and_its_target() -> None:
    line = parsed(
        "-A INPUT ! -s 192.0.2.0/24 -i eth+ -p tcp -m tcp ! --dport 22 -m comment --comment x -j REJECT --reject-with tcp-reset"
    )
    assert line.base.options == [
        Option("source", ("192.0.2.0/24",), True),
        Option("in-interface", ("eth+",)),
        Option("protocol", ("tcp",)),
    ]
    assert [part.name for part in line.matches] == ["tcp", "comment"]
    assert line.matches[0].options == [Option("dport", ("22",), True)]
    assert line.target is not None
    assert (line.target.name, line.target.options) == ("REJECT", [Option("reject-with", ("tcp-reset",))])
    assert line.text.startswith("! -s 192.0.2.0/24")


def test_an_exclamation_mark_may_stand_behind_its_option() -> None:
    line = parsed("-A INPUT -s ! 192.0.2.0/24 -p tcp -m tcp --dport ! 22 -j DROP")
    assert line.base.options[0] == Option("source", ("192.0.2.0/24",), True)
    assert line.matches[0].options == [Option("dport", ("22",), True)]


def test_a_goto_is_told_from_a_jump() -> None:
    assert parsed("-A INPUT -g OTHER").goto
    assert not parsed("-A INPUT -j OTHER").goto


def test_what_looks_like_an_option_is_the_value_of_one_that_takes_one() -> None:
    line = parsed("-A INPUT -m comment --comment -j -j LOG --log-prefix --x")
    assert line.matches[0].options == [Option("comment", ("-j",))]
    assert line.target is not None and line.target.options == [Option("log-prefix", ("--x",))]


def test_an_unknown_option_does_not_swallow_the_target() -> None:
    line = parsed("-A INPUT -m geoip --source-country CN RU --new-flag -j DROP")
    assert line.matches[0].options == [Option("source-country", ("CN", "RU")), Option("new-flag")]
    assert line.target is not None and line.target.name == "DROP"


def test_the_name_of_the_chain_may_hold_anything() -> None:
    assert read_line("-A a b -j DROP", "a b").target is not None
    assert read_line("-j DROP", "a b").target is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        (r'"say \"hi\""', ['say "hi"']),
        (r'"back\\slash" "it\'s"', ["back\\slash", "it's"]),
        ('""', [""]),
        ('x"y z"w', ["xy z", "w"]),
        ("  two   spaces\t", ["two", "spaces"]),
    ],
)
def test_words_end_as_iptables_restore_ends_them(text: str, expected: list[str]) -> None:
    assert [word.text for word in words(text)] == expected


def test_a_quoted_word_is_no_option() -> None:
    assert not Word("-j", quoted=True).is_option()
    assert Word("-j").is_option()
    assert not Word("-5").is_option()


@pytest.mark.parametrize(
    "line",
    [
        '-A INPUT -m comment --comment "cut',
        "-A INPUT -m",
        "-A INPUT -j",
        "-A INPUT -s",
        "-A INPUT !",
        "-A INPUT stray -j DROP",
        "-A INPUT -j DROP -j ACCEPT",
        "-A INPUT -z 5 -j DROP",
        "-A INPUT -p tcp -m tcp --tcp-flags SYN",
        '-A INPUT -m comment --comment "ends in a backslash\\"',
    ],
)
def test_a_line_cut_in_the_middle_is_malformed(line: str) -> None:
    with pytest.raises(Malformed) as caught:
        parsed(line)
    assert len(caught.value.message) < 200


def test_a_comment_of_64_kib_is_read() -> None:
    body = "x y" * 21_845
    line = parsed(f'-A INPUT -m comment --comment "{body}" -j DROP')
    assert line.matches[0].options[0].value == body


def test_the_tables_of_options_do_not_contradict_each_other() -> None:
    assert not FLAGS & PAIRS and not ONES & PAIRS
    assert set() == FLAGS & ONES


COMMENTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="\x7f"), min_size=1, max_size=60
)


def saved_comments(tool: str, comments: list[str]) -> list[str]:
    """Let iptables write rules with these comments, and return its lines."""
    quoted = [comment.replace("\\", "\\\\").replace('"', '\\"') for comment in comments]
    rules = "".join(f'-A INPUT -m comment --comment "{comment}" -j DROP\n' for comment in quoted)
    script = f"{tool}-restore && {tool}-save"
    done = subprocess.run(
        (*ALONE, "sh", "-c", script), input=f"*filter\n{rules}COMMIT\n".encode(), capture_output=True, check=True
    )
    return [line for line in done.stdout.decode().split("\n") if line.startswith("-A")]


@pytest.mark.parametrize("tool", ["iptables-nft", "iptables-legacy"])
@given(comments=st.lists(COMMENTS, min_size=1, max_size=40))
@settings(max_examples=15, deadline=None)
def test_any_comment_comes_back_as_it_was_given(tool: str, comments: list[str]) -> None:
    read = [parsed(line).matches[0].options[0].value for line in saved_comments(tool, comments)]
    assert read == comments


@given(st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_malformed(text: str) -> None:
    for line in (text, f"-A INPUT {text}", f"-A INPUT -m comment --comment {text} -j DROP"):
        try:
            assert isinstance(parsed(line), Line)
        except Malformed:
            pass
