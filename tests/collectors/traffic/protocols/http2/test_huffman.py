"""The code of RFC 7541, appendix B: published examples, and what breaks it."""

import pytest

from collectors.traffic.protocols.http2.huffman import Undecodable, decode

PUBLISHED = [
    # RFC 7541, C.4 and C.6
    ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
    ("a8eb10649cbf", b"no-cache"),
    ("25a849e95ba97d7f", b"custom-key"),
    ("25a849e95bb8e8b4bf", b"custom-value"),
    ("6402", b"302"),
    ("aec3771a4b", b"private"),
    ("d07abe941054d444a8200595040b8166e082a62d1bff", b"Mon, 21 Oct 2013 20:13:21 GMT"),
    ("9d29ad171863c78f0b97c8e9ae82ae43d3", b"https://www.example.com"),
    (
        "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ),
    ("", b""),
]


@pytest.mark.parametrize(("coded", "text"), PUBLISHED)
def test_published_examples(coded: str, text: bytes) -> None:
    assert decode(bytes.fromhex(coded)) == text


@pytest.mark.parametrize(
    "coded",
    [
        "00",  # a zero and three bits that are no ones
        "ff",  # eight ones: the end's code may not fill a byte
        "f1e3c2e5f23a6ba0ab90f4ffff",
        "fffffffc",  # the end of the string itself
        "fffffffffc",
    ],
)
def test_what_is_no_string_is_refused(coded: str) -> None:
    with pytest.raises(Undecodable):
        decode(bytes.fromhex(coded))
