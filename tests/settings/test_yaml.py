"""The YAML door lets a tree of text through, and of everything else only a sentence with its position."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from settings import yaml
from settings.errors import ConfigErrors
from settings.load import parse
from settings.tree import Mapping, Scalar, Sequence


def refusal(raw: bytes) -> str:
    with pytest.raises(ConfigErrors) as caught:
        yaml.parse(raw, "a.yaml")
    (item,) = caught.value.items
    return str(item)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"a: 1\nb: 2\na: 3\n", 'a.yaml:3:1: "a" stands here twice (first in line 1); remove one'),
        (b"a: {b: 1, b: 2}", 'a.yaml:1:11: "b" stands here twice'),
        (b"a: &x 1\nb: *x\n", "a.yaml:1:4: anchors and aliases are not supported"),
        (b"a: *x\n", "a.yaml:1:4: anchors and aliases are not supported"),
        (b"a: !!python/object:os.system x\n", "a.yaml:1:4: the tag"),
        (b"a: !x 3\n", "a.yaml:1:4: the tag"),
        (b"<<: {a: 1}\n", "a.yaml:1:1: merge keys (<<) are not supported"),
        (b"a: 1\n---\nb: 2\n", "a.yaml:2:1: a second document starts here"),
        (b"a: 1\nb: \xff\n", "a.yaml:2:4: byte 0xff is not UTF-8"),
        (b"\xff\xfea\x00", "a.yaml:1:1: byte 0xff is not UTF-8"),
        (b"a:\n\tb: 1\n", "a.yaml:2:1: not valid YAML: a tab cannot indent"),
        (b"a: b: c\n", 'a.yaml:1:5: not valid YAML: a ": " is out of place'),
        (b"a: [1, 2\n", "not valid YAML"),
        (b"a: 'x\n", "not valid YAML"),
        (b'a: "\\UFFFFFFFF"\n', "a.yaml:1:7: not valid YAML: a number or escape is out of range"),
        (b'a: "\\uD800"\n', "a.yaml:1:4: holds half of a character"),
        (b"%YAML 1." + b"9" * 5000 + b"\n---\na: 1\n", "out of range"),
        (b"a: \x00\n", "a.yaml:1:4: holds a character that YAML does not allow"),
        (b"? [a]\n: b\n", "a.yaml:1:3: a name must be plain text"),
        (b"[" * 100_000, "a.yaml:1:34: nested deeper than 32 levels"),
        (b"{a: " * 100_000, "nested deeper than 32 levels"),
        (b"a: " + b"x" * (1 << 20), "larger than 1 MiB"),
        (b"a: [" + b"1," * 60_000 + b"]", "holds more than 50000 values"),
    ],
)
def test_what_is_not_acceptable_is_named_with_its_position(raw: bytes, said: str) -> None:
    assert said in refusal(raw)


def test_nothing_is_interpreted() -> None:
    tree = yaml.parse(b"a: no\nb: '5'\nc: [22:22, ~]\nd: |\n  x\n", "a")
    assert isinstance(tree, Mapping)
    assert isinstance(tree.entries["c"], Sequence)
    assert [
        (node.text, node.plain)
        for node in (tree.entries["a"], tree.entries["b"], *tree.entries["c"].items, tree.entries["d"])
        if isinstance(node, Scalar)
    ] == [("no", True), ("5", False), ("22:22", True), ("~", True), ("x\n", False)]


@pytest.mark.parametrize("raw", [b"", b"# only a comment\n", b"---\n", b"~\n", b"\xef\xbb\xbf"])
def test_an_empty_document_is_an_empty_mapping(raw: bytes) -> None:
    tree = yaml.parse(raw, "a")
    assert isinstance(tree, Mapping)
    assert tree.entries == {}


def test_a_byte_order_mark_is_passed_over() -> None:
    tree = yaml.parse(b"\xef\xbb\xbfa: 1\n", "a")
    assert isinstance(tree, Mapping)
    assert list(tree.entries) == ["a"]


PIECES = st.sampled_from(
    [
        "collectors",
        "ports",
        "every",
        "rules",
        "when",
        "name",
        ":",
        ": ",
        "\n",
        "  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "|",
        ">",
        "&a",
        "*a",
        "!!str",
        "%",
        "@",
        "#",
        "---",
        "...",
        "?",
        "\\",
        "\\x",
        "\\UFFFFFFFF",
        "0755",
        "30s",
        "~",
        "<<",
        "\t",
        "\x85",
        "\u2028",
        "\x00",
        "é",
        "😀",
        "\r",
    ]
)


@given(st.one_of(st.binary(max_size=80), st.lists(PIECES, max_size=25).map(lambda pieces: "".join(pieces).encode())))
@settings(max_examples=400, deadline=None)
def test_no_bytes_bring_anything_but_errors_within_the_file(kind: type, raw: bytes) -> None:
    try:
        parse(raw, kind, "a.yaml")
    except ConfigErrors as error:
        assert error.items
        lines = _lines(raw.decode("utf-8", "replace"))
        for item in error.items:
            assert 1 <= item.line <= len(lines)
            assert 1 <= item.column <= len(lines[item.line - 1]) + 1
            assert "\n" not in str(item)


def _lines(text: str) -> list[str]:
    for end in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        text = text.replace(end, "\n")
    return text.split("\n")
