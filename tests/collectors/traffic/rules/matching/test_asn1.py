"""Faults in ASN.1."""

from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.rule import Asn1
from collectors.traffic.rules.matching.asn1 import faulty


def test_a_bit_string_with_more_unused_bits_than_bits() -> None:
    assert faulty(b"\x30\x04\x03\x02\x20\x01", 0, Asn1(bitstring_overflow=True))
    assert not faulty(b"\x30\x04\x03\x02\x01\x01", 0, Asn1(bitstring_overflow=True))


def test_a_real_number_of_too_many_digits() -> None:
    long = b"\x09\x82\x01\x2c" + b"\x03" + b"1" * 299
    assert faulty(long, 0, Asn1(double_overflow=True))
    assert not faulty(b"\x09\x03\x031.", 0, Asn1(double_overflow=True))


def test_a_length_beyond_what_is_allowed() -> None:
    assert faulty(b"\x04\x82\x10\x00", 0, Asn1(oversize_length=500))
    assert not faulty(b"\x04\x02ab", 0, Asn1(oversize_length=500))


@given(st.binary(max_size=80), st.integers(0, 80))
def test_no_bytes_raise(data: bytes, at: int) -> None:
    faulty(data, at, Asn1(bitstring_overflow=True, double_overflow=True, oversize_length=5))
