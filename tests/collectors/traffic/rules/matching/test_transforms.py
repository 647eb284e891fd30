"""Transforms, one by one and in a row."""

import base64
import gzip
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Transform
from collectors.traffic.rules.matching.transforms import change, changes


def done(name: str, data: bytes, argument: str = "") -> bytes:
    return change(Transform(name, argument))(data)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("strip_whitespace", b" a\tb\r\n", b"ab"),
        ("compress_whitespace", b"a  b\t\tc", b"a b\tc"),
        ("strip_pseudo_headers", b":method: GET\r\nhost: a\r\n:path: /\r\n", b"host: a\r\n"),
        ("header_lowercase", b"Host: A\r\nX-Y: Z\r\n", b"host: A\r\nx-y: Z\r\n"),
        ("to_lowercase", b"AbC", b"abc"),
        ("to_uppercase", b"AbC", b"ABC"),
        ("dotprefix", b"a.example", b".a.example"),
        ("url_decode", b"a%20b+c%zz%4", b"a b c%zz%4"),
        ("to_md5", b"a", hashlib.md5(b"a").digest()),
        ("to_sha1", b"a", hashlib.sha1(b"a").digest()),
        ("to_sha256", b"a", hashlib.sha256(b"a").digest()),
    ],
)
def test_plain_transforms(name: str, data: bytes, expected: bytes) -> None:
    assert done(name, data) == expected


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=5))
def test_xor_undoes_itself(data: bytes, key: bytes) -> None:
    assert done("xor", done("xor", data, key.hex()), key.hex()) == data


def test_the_part_of_an_expression_is_what_its_group_holds() -> None:
    assert done("pcrexform", b"GET /a HTTP/1.1", r"[a-zA-Z]+\s+(.*)\s+HTTP") == b"/a"
    assert done("pcrexform", b"nothing", r"x(y)") == b"nothing"
    with pytest.raises(Refused, match="no group"):
        change(Transform("pcrexform", "abc"))


@given(st.binary(min_size=1, max_size=60), st.integers(0, 5))
def test_base64_from_an_offset(data: bytes, offset: int) -> None:
    argument = f"bytes=0,offset={offset},mode=rfc4648"
    assert done("from_base64", b"x" * offset + base64.b64encode(data), argument) == data


def test_what_is_compressed_is_bounded() -> None:
    assert done("gunzip", gzip.compress(b"hello"), "1024") == b"hello"
    assert done("zlib_deflate", zlib.compress(b"hello"), "1024") == b"hello"
    assert len(done("gunzip", gzip.compress(bytes(10_000_000)), "1024")) == 1024
    assert done("gunzip", b"not gzip", "1024") == b""


def test_a_chain_goes_from_left_to_right() -> None:
    chain = changes((Transform("to_lowercase"), Transform("dotprefix")))
    assert chain is not None and chain(b"AB") == b".ab"
    assert changes(()) is None


def test_what_is_no_transform_is_refused() -> None:
    with pytest.raises(Refused, match="not a transform"):
        change(Transform("nonsense"))


@given(
    st.binary(max_size=50),
    st.sampled_from(["strip_whitespace", "url_decode", "header_lowercase", "strip_pseudo_headers"]),
)
def test_no_transform_raises(data: bytes, name: str) -> None:
    done(name, data)
    for other in ("rfc2045", "rfc4648", "strict"):
        done("from_base64", data, f"bytes=0,offset=0,mode={other}")
