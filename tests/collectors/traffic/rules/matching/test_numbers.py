"""Numbers in a buffer: binary and digits, relative or not, jumps and variables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.rules.language.parser import Parser
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State

PARSER = Parser()


def run(options: str, data: bytes) -> tuple[bool, dict[str, int]]:
    rule = PARSER.rule(f"alert tcp any any -> any any ({options} sid:1;)")
    assert rule.payload is not None
    state = State()
    return Matcher(rule.payload)(data, state), state.values


def holds(options: str, data: bytes) -> bool:
    return run(options, data)[0]


@given(st.binary(min_size=8, max_size=12), st.integers(1, 8), st.integers(0, 6), st.sampled_from(["big", "little"]))
def test_binary_numbers_are_those_that_python_reads(data: bytes, size: int, offset: int, endian: str) -> None:
    found, values = run(f"byte_extract:{size},{offset},n,{endian};", data)
    if offset + size > len(data):
        assert not found
    else:
        assert found and values["n"] == int.from_bytes(data[offset : offset + size], endian)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test", "data", "expected"),
    [
        ("2,=,0x0102,0", b"\x01\x02", True),
        ("2,!=,0x0102,0", b"\x01\x02", False),
        ("2,>,257,0", b"\x01\x02", True),
        ("2,<,257,0", b"\x01\x02", False),
        ("1,&,2,1", b"\x01\x02", True),
        ("1,!&,2,1", b"\x01\x02", False),
        ("1,^,2,1", b"\x01\x02", False),
        ("3,=,0,0", b"\x00\x00", False),
        ("4,=,1337,1,string,dec", b"x1337", True),
        ("4,=,0x1f,0,string,hex", b"0x1f", True),
        ("2,=,9,0,string,oct", b"11", True),
        ("0,>,1700000000,0,string,dec", b"1800000000 ", True),
        ("4,=,5,0,string,dec", b"abcd", False),
        ("1,=,3,0,bitmask 0x0c", b"\x0f", True),
        ("1,=,1,0", b"", False),
    ],
)
def test_byte_test(test: str, data: bytes, expected: bool) -> None:
    assert holds(f"byte_test:{test};", data) is expected


@pytest.mark.parametrize(
    ("options", "data", "expected"),
    [
        ('byte_jump:1,0; content:"x"; within:1;', b"\x02..x", True),
        ('byte_jump:1,0; content:"x"; within:1;', b"\x01..x", False),
        ('byte_jump:1,0,from_beginning; content:"x"; within:1;', b"\x02.x.", True),
        ('byte_jump:0,0,from_end,post_offset -2; content:"x"; within:1;', b"...x.", True),
        ('byte_jump:1,0,multiplier 2; content:"x"; within:1;', b"\x01..x", True),
        ('byte_jump:1,0,align; content:"x"; within:1;', b"\x01....x", True),
        ('content:"a"; byte_jump:1,0,relative; content:"x"; within:1;', b"a\x01.x", True),
        ("byte_jump:1,0;", b"\x05.", False),
        ("byte_jump:1,0;", b"\x01.", True),
        ('byte_jump:1,0,post_offset -9; content:"\x01"; within:1;', b"\x01..", True),
        ('byte_jump:2,0,string,dec; content:"x"; within:1;', b"02..x", True),
    ],
)
def test_byte_jump(options: str, data: bytes, expected: bool) -> None:
    assert holds(options, data) is expected


def test_extracted_numbers_are_multiplied_and_aligned() -> None:
    assert run("byte_extract:1,0,n,multiplier 3,align 4;", b"\x03")[1]["n"] == 12


@pytest.mark.parametrize(
    ("math", "value"),
    [
        ("+, rvalue 3", 11),
        ("-, rvalue 3", 5),
        ("*, rvalue 3", 24),
        ("/, rvalue 3", 2),
        ("<<, rvalue 3", 64),
        (">>, rvalue 3", 1),
    ],
)
def test_byte_math(math: str, value: int) -> None:
    assert run(f"byte_math:bytes 1, offset 0, oper {math}, result r;", b"\x08")[1]["r"] == value


def test_nothing_is_divided_by_nothing() -> None:
    assert not holds("byte_extract:1,1,n; byte_math:bytes 1, offset 0, oper /, rvalue n, result r;", b"\x08\x00")


def test_a_value_from_a_variable_is_compared() -> None:
    assert holds("byte_extract:1,0,n; byte_test:1,=,n,1;", b"\x07\x07")
    assert not holds("byte_extract:1,0,n; byte_test:1,=,n,1;", b"\x07\x08")


def test_dce_asks_for_the_order_of_the_message() -> None:
    rule = PARSER.rule("alert dcerpc any any -> any any (dcerpc.stub_data; byte_test:2,=,1,0,dce; sid:1;)")
    matcher, state = Matcher(rule.buffers[0]), State()
    state.little = True
    assert matcher(b"\x01\x00", state)
    state.little = False
    assert not matcher(b"\x01\x00", state)


@given(st.binary(max_size=20), st.integers(-30, 30), st.integers(-30, 30))
def test_nothing_is_read_outside_of_the_buffer(data: bytes, offset: int, jump: int) -> None:
    words = f'content:"a"; byte_jump:1,{offset},relative,post_offset {jump}; byte_test:2,>,0,{offset},relative;'
    assert holds(words, data) in {True, False}
