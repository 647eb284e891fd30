"""The words of SFTP: what is made is what is read, and what is cut or odd is told, never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.backup.stores import sftp_wire as wire
from actions.backup.stores.sftp_wire import Attributes, Code, Garbled, Reader, Refusal, Reply, Type

numbers = st.none() | st.integers(0, 2**32 - 1)


@given(
    size=st.none() | st.integers(0, 2**64 - 1),
    mode=numbers,
    times=st.none() | st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
)
def test_attributes_are_read_as_made(size: int | None, mode: int | None, times: tuple[int, int] | None) -> None:
    made = wire.attributes(size=size, mode=mode, times=times)
    atime, mtime = times if times is not None else (None, None)
    assert Reader(made).attributes() == Attributes(size, None, None, mode, atime, mtime)


def test_extended_attributes_are_passed_over() -> None:
    body = (0x80000000).to_bytes(4, "big") + (2).to_bytes(4, "big") + wire.string("a") * 4 + b"rest"
    reader = Reader(body)
    assert reader.attributes() == Attributes()
    assert reader.raw(4) == b"rest"


@given(names=st.lists(st.binary(max_size=30), max_size=5))
def test_entries(names: list[bytes]) -> None:
    body = len(names).to_bytes(4, "big")
    for name in names:
        body += wire.string(name) + wire.string("-rw") + wire.attributes(size=len(name), mode=0o100400)
    found = Reader(body).entries()
    assert [(entry.name, entry.attributes.size) for entry in found] == [(name, len(name)) for name in names]


@given(body=st.binary(max_size=60))
def test_rubbish_is_garbled_and_nothing_worse(body: bytes) -> None:
    for read in (Reader.attributes, Reader.entries, Reader.extensions, Reader.limits, Reader.free, Reader.string):
        try:
            read(Reader(body))
        except Garbled as error:
            assert error.permanent


def test_a_write_s_head_counts_its_data() -> None:
    head = wire.write_head(9, b"hand", 1 << 33, 1000)
    length, type, number = int.from_bytes(head[:4], "big"), head[4], int.from_bytes(head[5:9], "big")
    assert (length, type, number) == (len(head) - 4 + 1000, Type.WRITE, 9)
    reader = Reader(head[9:])
    assert (reader.string(), reader.long(), reader.number(), reader.left) == (b"hand", 1 << 33, 1000, 0)


def test_names_that_are_not_utf8_stay_what_they_are() -> None:
    assert wire.string(b"\xff".decode("utf-8", "surrogateescape")) == b"\0\0\0\1\xff"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\0\0\0\3" + wire.string("no way") + wire.string("en"), "no way"),
        (b"\0\0\0\3" + wire.string("") + wire.string("en"), "Permission denied"),
        (b"\0\0\0\3", "Permission denied"),
        (b"\0\0\0\x63", "status 99"),
    ],
)
def test_a_refusal_has_words(body: bytes, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        Reply(Type.STATUS, body).must_be(Type.HANDLE)


def test_an_answer_of_another_kind_is_garbled() -> None:
    with pytest.raises(Garbled):
        Reply(Type.ATTRS, b"").must_be(Type.HANDLE)
    with pytest.raises(Refusal) as caught:  # an OK where a handle was awaited is no handle
        Reply(Type.STATUS, bytes(4)).must_be(Type.HANDLE)
    assert caught.value.code == Code.OK
