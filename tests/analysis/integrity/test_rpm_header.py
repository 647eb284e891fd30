"""Headers of rpm, as made here; those of rpm itself are read in `tests/collectors/integrity/packages/test_rpm_desk.py`."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.integrity.rpm_header import MAGIC, MOST_BYTES, Header
from tests.analysis.integrity.rpm_headers import header, package

TEXTS = st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\0", b"")), min_size=1, max_size=5)
NUMBERS = st.lists(st.integers(0, 255), min_size=1, max_size=5)
KINDS = st.one_of(st.tuples(st.sampled_from([2, 3, 4, 5]), NUMBERS), st.tuples(st.sampled_from([8, 9]), TEXTS))
ENTRIES = st.dictionaries(st.integers(100, 6000), KINDS, max_size=6)


@given(ENTRIES, ENTRIES)
def test_what_was_written_is_read_and_what_was_added_is_kept_apart(inside, added) -> None:
    found = Header(
        header({(tag, kind): held for tag, (kind, held) in inside.items()}, {(t, k): h for t, (k, h) in added.items()})
    )
    for entries, is_added in ((inside, False), (added, True)):
        for tag, (kind, held) in entries.items():
            read = found.strings(tag, added=is_added) if kind in (8, 9) else list(found.numbers(tag, added=is_added))
            assert read == held
    assert all(found.numbers(tag) == () and found.strings(tag) == [] for tag in added if tag not in inside)


@given(ENTRIES, ENTRIES)
def test_what_is_under_the_signature_does_not_change_with_what_is_added(inside, added) -> None:
    entries = {(tag, kind): held for tag, (kind, held) in inside.items()}
    plain, more = header(entries), header(entries, {(tag, kind): held for tag, (kind, held) in added.items()})
    assert b"".join(Header(plain).signed()) == b"".join(Header(more).signed()) == MAGIC + plain


def test_an_added_tag_does_not_hide_the_signed_one() -> None:
    found = Header(header({(1000, 6): [b"tool"]}, {(1000, 6): [b"other"]}))
    assert found.text(1000) == "tool" and found.strings(1000, added=True) == [b"other"]


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_header_or_a_clear_error(blob) -> None:
    try:
        Header(blob)
    except ValueError as error:
        assert str(error)


def test_a_header_that_was_damaged_anywhere_is_read_within_bounds_or_refused() -> None:
    whole, chance, refused = package(), random.Random(6), 0
    for _ in range(3000):
        blob = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            blob[chance.randrange(len(blob))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        blob = blob[: chance.choice((len(blob), len(blob), chance.randrange(len(blob))))]
        try:
            found = Header(bytes(blob))
            assert sum(map(len, found.signed())) <= len(MAGIC) + len(blob)
            for tag in (1000, 1028, 1035, 1117, 268):
                for read in (found.numbers, found.strings, found.binary):
                    try:
                        read(tag)
                    except ValueError:
                        refused += 1
        except ValueError:
            refused += 1
    assert refused > 300


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "of 0 bytes"),
        (struct.pack(">II", 1, 16) + bytes(32), "no immutable region"),
        (struct.pack(">II", 70000, 0) + bytes(70000 * 16), "do not make"),
        (struct.pack(">II", 1, 0) + struct.pack(">IIiI", 63, 7, 0, 16), "ends outside"),
    ],
)
def test_what_is_no_header_is_refused(blob, why) -> None:
    with pytest.raises(ValueError, match=why):
        Header(blob)
    assert len(blob) < MOST_BYTES


def test_values_of_another_kind_than_asked_for_are_refused() -> None:
    found = Header(package())
    for wrong in (lambda: found.numbers(1000), lambda: found.strings(1028), lambda: found.binary(1000)):
        with pytest.raises(ValueError, match="has no"):
            wrong()
    assert found.binary(268, added=True) == b"packet" and found.binary(267) == b"" and found.text(9999) == ""
