"""Text as Go writes it; the archiver's tests hold whole trees against the real restic, these hold the corners."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.go_text import go_json, quote, unquote


@given(st.binary(max_size=60))
def test_every_name_comes_back(name: bytes) -> None:
    assert unquote(quote(name)) == name


@given(st.text(max_size=60))
def test_every_text_comes_back(name: str) -> None:
    assert unquote(quote(name.encode("utf-8", "surrogatepass"))) == name.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("raw", "quoted"),
    [
        (b"plain name", "plain name"),
        (b'say "x"', '\\"x\\"'.join(["say ", ""])),
        (b"back\\slash", "back\\\\slash"),
        (b"\a\b\f\n\r\t\v", "\\a\\b\\f\\n\\r\\t\\v"),
        (b"\x00\x1f\x7f", "\\x00\\x1f\\x7f"),
        (b"\xff\xc3", "\\xff\\xc3"),
        ("é😀".encode(), "é😀"),
        ("\u200b\u00a0\U000e0001".encode(), "\\u200b\\u00a0\\U000e0001"),
        ("\ufffd".encode(), "\ufffd"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_quoting_as_go_does(raw: bytes, quoted: str) -> None:
    assert quote(raw) == quoted
    assert unquote(quoted) == raw


def test_octal_escapes_are_read() -> None:
    assert unquote("\\101\\377") == b"A\xff"


@pytest.mark.parametrize(
    "text", ['a"b', "a\nb", "\\", "\\q", "\\x1", "\\u12", "\\ud800", "\\U00110000", "\\400", "\\'", '\\n"']
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        unquote(text)


@given(st.text(max_size=40))
def test_go_json_is_the_same_document(text: str) -> None:
    import msgspec

    document = go_json(msgspec.json.encode({"key": text}))
    assert json.loads(document) == {"key": text}
    assert not set(document) & set(b"<>&")


def test_go_json_knows_what_msgspec_writes_otherwise() -> None:
    import msgspec

    assert (
        go_json(msgspec.json.encode("<&>\u2028\u2029\b\f\\b\x01"))
        == rb'"\u003c\u0026\u003e\u2028\u2029\u0008\u000c\\b\u0001"'
    )
