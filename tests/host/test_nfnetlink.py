"""Attributes come back as they were written, and bytes that are none are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from host import nfnetlink


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=40), max_size=8))
def test_attributes_are_read_back(wanted: dict[int, bytes]) -> None:
    raw = b"".join(nfnetlink.attribute(kind, payload) for kind, payload in wanted.items())
    assert nfnetlink.attributes(raw) == wanted


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=20), max_size=4), st.integers(1, 0x3FFF))
def test_attributes_inside_of_one_are_read_back(wanted: dict[int, bytes], kind: int) -> None:
    raw = nfnetlink.nested(kind, *(nfnetlink.attribute(each, payload) for each, payload in wanted.items()))
    assert nfnetlink.attributes(nfnetlink.attributes(raw)[kind]) == wanted


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_or_end(raw: bytes) -> None:
    try:
        found = list(nfnetlink.each(raw))
    except Malformed:
        return
    assert sum(4 + len(payload) for _, payload in found) <= len(raw) + 3


def test_an_attribute_longer_than_what_is_left_is_refused() -> None:
    with pytest.raises(Malformed, match="says it has 400 bytes"):
        nfnetlink.attributes((400).to_bytes(2, "little") + bytes(6))


def test_a_refusal_of_the_kernel_carries_its_number() -> None:
    with nfnetlink.Conversation("nothing") as talk, pytest.raises(nfnetlink.KernelRefused) as refusal:
        talk.ask(nfnetlink.message(10 << 8 | 1, nfnetlink.NLM_F_ACK, 1, nfnetlink.text(1, "no_such_table_here")))
    assert refusal.value.number == 2
