"""Tree: the entries of one directory as a blob, sorted by name; its id is the hash of exactly these bytes."""

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from actions.backup.go_text import go_json
from actions.backup.node import Node
from contracts.errors import HoldfastError


class BadTree(HoldfastError):
    """The bytes are not a tree, or one with names that no directory has."""


class _Tree(msgspec.Struct):
    nodes: list[Node] | None


_DECODER = msgspec.json.Decoder(_Tree)
_ENCODER = msgspec.json.Encoder()


def encode_tree(nodes: Iterable[Node]) -> bytes:
    """The blob of a directory; raises BadTree when two entries have one name."""
    named = sorted(((node.raw_name, node) for node in nodes), key=lambda pair: pair[0])
    for (name, _), (following, _) in pairwise(named):
        if name == following:
            raise BadTree(f"two entries are called {name!r}")
    return go_json(_ENCODER.encode(_Tree([node for _, node in named]))) + b"\n"


def decode_tree(blob: bytes | bytearray) -> list[tuple[bytes, Node]]:
    """The entries of a directory with their raw names; raises BadTree, also for names that repeat or would leave the directory."""
    try:
        nodes = _DECODER.decode(blob).nodes or []
        named = [(node.raw_name, node) for node in nodes]
    except (msgspec.DecodeError, ValueError) as error:
        raise BadTree(f"not a tree: {error}") from error
    if len({name for name, _ in named}) != len(named):
        raise BadTree("a name occurs twice")
    return named
