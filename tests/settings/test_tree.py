"""Laying one tree over another merges sections and replaces everything else."""

from settings.tree import Mapping, Node, Scalar, merge
from settings.yaml import parse


def text(tree: Node, *path: str) -> str:
    for name in path:
        assert isinstance(tree, Mapping)
        tree = tree.entries[name]
    assert isinstance(tree, Scalar)
    return tree.text


def test_sections_merge_and_scalars_are_replaced() -> None:
    merged = merge(parse(b"a: {b: 1, c: 2}\nd: 3\n", "x"), parse(b"a: {c: 4, e: 5}\n", "y"))
    assert [text(merged, "a", name) for name in "bce"] == ["1", "4", "5"]
    assert text(merged, "d") == "3"


def test_positions_stay_with_what_is_kept() -> None:
    merged = merge(parse(b"a: 1\nb: 2\n", "x"), parse(b"\nb: 3\n", "y"))
    assert isinstance(merged, Mapping)
    assert [(merged.keys[name].file, merged.keys[name].line) for name in "ab"] == [("x", 1), ("y", 2)]


def test_another_shape_replaces_the_section() -> None:
    assert text(merge(parse(b"a: {b: 1}", "x"), parse(b"a: 2", "y")), "a") == "2"


def test_only_unquoted_nothing_is_empty() -> None:
    tree = parse(b"a: ~\nb: '~'\nc:\nd: ''\n", "x")
    assert isinstance(tree, Mapping)
    assert [node.empty for node in tree.entries.values() if isinstance(node, Scalar)] == [True, False, True, False]
