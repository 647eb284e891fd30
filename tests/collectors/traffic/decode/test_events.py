"""Decode events bear Suricata's names, once each."""

import re

from collectors.traffic.decode.events import BITS, NAMES, WORDS, names


def test_names_are_unique_and_in_suricatas_form() -> None:
    assert len(set(NAMES)) == len(NAMES) <= WORDS * 64
    assert all(re.fullmatch(r"(\w+\.)?\w+", name) for name in NAMES)
    assert {"ipv4.trunc_pkt", "tcp.hlen_too_small", "ipv6.frag_overlap", "udp.len_invalid"} <= set(BITS)


def test_words_are_read_as_names() -> None:
    first, last = NAMES[0], NAMES[-1]
    words = [0] * WORDS
    words[0] |= 1
    words[BITS[last] // 64] |= 1 << BITS[last] % 64
    assert names(tuple(words)) == (first, last)
