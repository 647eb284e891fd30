"""Makes headers as rpm's database keeps them: entries under the immutable region, and entries that were added."""

import struct
from collections.abc import Mapping, Sequence

Values = Sequence[int] | Sequence[bytes] | bytes
LETTERS = {2: "B", 3: "H", 4: "I", 5: "Q"}
REGION = 63


def header(inside: Mapping[tuple[int, int], Values], added: Mapping[tuple[int, int], Values] | None = None) -> bytes:
    """Return a header of values by tag and kind."""
    data = bytearray()
    index = [_entry(data, *key, values) for key, values in inside.items()]
    end = len(data)
    data += struct.pack(">IIiI", REGION, 7, -16 * (len(index) + 1), 16)
    index.insert(0, struct.pack(">IIiI", REGION, 7, end, 16))
    index += [_entry(data, *key, values) for key, values in (added or {}).items()]
    return struct.pack(">II", len(index), len(data)) + b"".join(index) + bytes(data)


def _entry(data: bytearray, tag: int, kind: int, values: Values) -> bytes:
    if kind in LETTERS:
        width = struct.calcsize(LETTERS[kind])
        data += b"\0" * (-len(data) % width)
    at = len(data)
    if isinstance(values, bytes):
        data += values
    elif kind in LETTERS:
        data += struct.pack(f">{len(values)}{LETTERS[kind]}", *values)
    else:
        data += b"".join(bytes(each) + b"\0" for each in values)  # type: ignore[arg-type]
    return struct.pack(">IIiI", tag, kind, at, len(values))


def package(**more: Values) -> bytes:
    """Return the header of a package that ships `/usr/bin/tool` and owns `/var/lib/ghost`."""
    inside: dict[tuple[int, int], Values] = {
        (1000, 6): [b"tool"],
        (1001, 6): [b"1.0"],
        (1002, 6): [b"1"],
        (1003, 4): [2],
        (1022, 6): [b"x86_64"],
        (1024, 6): [b"touch /var/lib/made"],
        (1028, 4): [4, 0],
        (1030, 3): [0o100755, 0o100644],
        (1034, 4): [7, 7],
        (1035, 8): [b"ab" * 32, b""],
        (1036, 8): [b"", b""],
        (1037, 4): [0, 1 << 6],
        (1039, 8): [b"root", b"root"],
        (1040, 8): [b"root", b"root"],
        (1116, 4): [0, 1],
        (1117, 8): [b"tool", b"ghost"],
        (1118, 8): [b"/usr/bin/", b"/var/lib/"],
        (5010, 8): [b"cap_net_raw=ep", b""],
        (5011, 4): [8],
    }
    for key, values in more.items():
        tag = int(key.removeprefix("t"))
        kind = next(kind for number, kind in inside if number == tag)
        inside[tag, kind] = values
    return header(inside, {(1008, 4): [77], (1128, 4): [76], (268, 7): b"packet"})
