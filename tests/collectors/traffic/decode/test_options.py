"""Options of IPv4 and TCP, walked in step: compared with a walk of one packet at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.block import PAD
from collectors.traffic.decode.options import Options, walk
from collectors.traffic.decode.span import Span

KNOWN = Options(known={2: (4, 4), 8: (10, 10), 5: (10, 34)})


def slowly(text: bytes) -> set[str]:
    found: set[str] = set()
    seen: set[int] = set()
    at = 0
    while at < len(text) and text[at] != 0:
        if text[at] == 1:
            at += 1
            continue
        if at + 1 >= len(text):
            return found | {"unfinished"}
        kind, length = text[at], text[at + 1]
        if length < 2 or at + length > len(text):
            return found | {"bad_length"}
        if kind not in KNOWN.known:
            found.add("unknown")
        else:
            low, high = KNOWN.known[kind]
            found |= {"bad_size"} if not low <= length <= high else set()
            found |= {"duplicate"} if kind in seen else set()
        seen.add(kind)
        at += length
    return found


PARTS = st.one_of(
    st.binary(max_size=4),
    st.sampled_from([b"\1", b"\1\1", b"\2\4aa", b"\x08\x0a" + bytes(8), b"\5\x0a" + bytes(8), b"\x63\2", b"\0"]),
)


@given(st.lists(st.lists(PARTS, max_size=8).map(lambda parts: b"".join(parts)[:40]), min_size=1, max_size=5))
def test_walking_in_step_is_walking_alone(texts: list[bytes]) -> None:
    data = np.frombuffer(b"".join(texts) + b"\xff" * PAD, np.uint8)
    lengths = np.array([len(text) for text in texts])
    start = np.cumsum(lengths) - lengths
    walked = walk(data, Span(np.arange(len(texts)), start, start + lengths), KNOWN)
    for index, text in enumerate(texts):
        names = ("bad_length", "bad_size", "duplicate", "unknown", "unfinished")
        assert {name for name in names if getattr(walked, name)[index]} == slowly(text)
