"""The Huffman code of HTTP/2's header compression (RFC 7541, appendix B), read four bits at a time."""

from typing import Final

_BY_LENGTH: Final[tuple[tuple[int, bytes], ...]] = (
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b'!"()?'),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\x00$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, b"\\\xc3\xd0"),
    (20, bytes.fromhex("808283a2b8c2e0e2")),
    (21, bytes.fromhex("99a1a7acb0b1b3d1d8d9e3e5e6")),
    (22, bytes.fromhex("8184858688929a9ca0a3a4a9aaadb2b5b9babbbdbec4c6e4e8e9")),
    (23, bytes.fromhex("0187898a8b8c8d8f93959697989b9d9ea5a6a8aeafb4b6b7bcbfc5e7ef")),
    (24, bytes.fromhex("098e9091949fabced7e1eced")),
    (25, bytes.fromhex("c7cfeaeb")),
    (26, bytes.fromhex("c0c1c8c9cacdd2d5dadbeef0f2f3ff")),
    (27, bytes.fromhex("cbccd3d4d6dddedff1f4f5f6f7f8fafbfcfdfe")),
    (28, bytes.fromhex("020304050607080b0c0e0f1011121314151718191a1b1c1d1e1f7fdcf9")),
    (30, b"\n\r\x16"),
)
"""The code is canonical: by length, then by byte; behind the last one comes the end of the string, which no string may hold."""
_END: Final = 256
_WRONG: Final = -1
_NOTHING: Final = 257
_LEAF: Final = 1000


class Undecodable(Exception):
    """The bits are no string of the code."""


def _tree() -> list[list[int]]:
    """Return the code as a tree: each node's two followers; what is below `_LEAF` is a byte (or the end), else a node."""
    nodes: list[list[int]] = [[_WRONG, _WRONG]]
    code = length = 0
    for size, letters in _BY_LENGTH:
        for letter in [*letters, _END] if size == 30 else letters:
            code <<= size - length
            length = size
            at = 0
            for bit in range(size - 1, 0, -1):
                side = code >> bit & 1
                if nodes[at][side] == _WRONG:
                    nodes.append([_WRONG, _WRONG])
                    nodes[at][side] = _LEAF + len(nodes) - 1
                at = nodes[at][side] - _LEAF
            nodes[at][code & 1] = letter
            code += 1
    return nodes


def _steps() -> tuple[list[int], list[int], list[bool]]:
    """Return, by node * 16 + four bits, the next node (`_WRONG`: none) and the byte that came out (`_NOTHING`); which nodes may be last."""
    nodes = _tree()
    following: list[int] = []
    out: list[int] = []
    for node in range(len(nodes)):
        for bits in range(16):
            at, letter = node, _NOTHING
            for bit in (3, 2, 1, 0):
                at = nodes[at][bits >> bit & 1]
                if at in (_WRONG, _END):
                    at = _WRONG
                    break
                if at < _LEAF:
                    at, letter = 0, at
                else:
                    at -= _LEAF
            following.append(at)
            out.append(letter)
    last = [False] * len(nodes)
    at = 0
    for _ in range(8):
        # Up to seven ones, the beginning of the end's code, fill the last byte.
        last[at] = True
        at = nodes[at][1] - _LEAF
    return following, out, last


_FOLLOWING, _OUT, _LAST = _steps()


def decode(data: bytes) -> bytes:
    """Return the bytes of a string; raises `Undecodable` for what the code does not know, and for an end that is not filled with ones."""
    following, out = _FOLLOWING, _OUT
    found = bytearray()
    node = 0
    for byte in data:
        place = node * 16 + (byte >> 4)
        if out[place] < _END:
            found.append(out[place])
        node = following[place]
        if node < 0:
            raise Undecodable
        place = node * 16 + (byte & 15)
        if out[place] < _END:
            found.append(out[place])
        node = following[place]
        if node < 0:
            raise Undecodable
    if not _LAST[node]:
        raise Undecodable
    return bytes(found)
