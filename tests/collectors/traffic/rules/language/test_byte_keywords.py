"""The words of byte_test and its relatives."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.language.rule import (
    Asn1,
    Base64Decode,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Entropy,
    IsDataAt,
    Match,
)


def matches(options: str) -> list[Match]:
    found = Parser().rule(f"alert tcp any any -> any any ({options} sid:1;)")
    assert found.payload is not None
    return found.payload.matches


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("byte_test:4, >, 1000, 20;", ByteTest(4, ">", 1000, 20)),
        ("byte_test:2,!&,0xff,-4,relative,little;", ByteTest(2, "&", 255, -4, True, True, "little")),
        ("byte_test:10,<=,5,0,string,dec;", ByteTest(10, "<=", 5, 0, base=10)),
        ("byte_test:2,=,1,0,bitmask 0xf0;", ByteTest(2, "=", 1, 0, bitmask=0xF0)),
        ("byte_test:2,!=,1,0,bitmask f0;", ByteTest(2, "=", 1, 0, True, bitmask=0xF0)),
        (
            "byte_jump:4,-10,relative,little,align,multiplier 2,from_beginning,post_offset -2;",
            ByteJump(4, -10, True, 2, "little", 0, True, "beginning", -2),
        ),
        (
            "byte_extract:4,0,size,relative,multiplier 3,little,align 4;",
            ByteExtract(4, 0, "size", True, 3, "little", 0, 4),
        ),
        ("byte_extract:3,1,n,string,hex;", ByteExtract(3, 1, "n", base=16)),
        (
            "byte_math:bytes 4, offset 1, oper <<, rvalue 2, result r, relative, endian little, bitmask 0xff;",
            ByteMath(4, 1, "<<", 2, "r", True, "little", 0, 255),
        ),
        ("isdataat:!5,relative;", IsDataAt(5, True, True)),
        ("isdataat:512,rawbytes;", IsDataAt(512)),
        ("base64_decode:bytes 12, offset 3, relative;", Base64Decode(12, 3, True)),
        ("base64_decode;", Base64Decode()),
        ("entropy: bytes 10, offset 2, value >= 7.5;", Entropy(">=", 7.5, bytes=10, offset=2)),
        ("entropy: <7.01;", Entropy("<", 7.01)),
        ("asn1:bitstring_overflow, oversize_length 500, relative_offset 7;", Asn1(True, False, 500, None, 7)),
    ],
)
def test_every_word_has_its_place(options: str, expected: Match) -> None:
    assert matches(options) == [expected]


def test_variables_are_known_from_where_they_are_set() -> None:
    _, test, jump, data = matches("byte_extract:1,0,n; byte_test:1,=,n,n; byte_jump:1,n; isdataat:n;")
    assert (test, jump, data) == (ByteTest(1, "=", "n", "n"), ByteJump(1, "n"), IsDataAt("n"))


@pytest.mark.parametrize(
    "options",
    [
        "byte_test:4,>,1000;",
        "byte_test:4,?,1000,0;",
        "byte_test:4,>,1000,0,big,little;",
        "byte_test:4,>,1000,0,hex;",
        "byte_test:4,>,1000,0,string,hex,dec;",
        "byte_test:4,>,1000,0,nonsense;",
        "byte_test:4,>,1000,0,relative,relative;",
        "byte_extract:9,0,n;",
        "byte_extract:1,0,9n;",
        "byte_extract:1,0,n,align 3;",
        "byte_math:bytes 4, offset 1, oper %, rvalue 2, result r;",
        "byte_math:bytes 4, offset 1, oper +, rvalue 2;",
        "isdataat:5,sideways;",
        "entropy: value 9.5;",
        "asn1:nonsense;",
        "urilen:5,odd;",
    ],
)
def test_what_makes_no_sense_is_refused(options: str) -> None:
    with pytest.raises(Refused):
        matches(options)


def test_isdataat_has_suricatas_limit() -> None:
    assert matches("isdataat:65535;") == [IsDataAt(65535)]
    for options in ("isdataat:65536;", 'content:"a"; isdataat:!99999,relative;', "isdataat:-1;"):
        with pytest.raises(Refused, match=r"isdataat: .* is not between 0 and 65535"):
            matches(options)
