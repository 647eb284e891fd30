"""What some slices of a file tell: its format, whether it looks random, whether it is what it begins as."""

import gzip
import random

import pytest

from analysis.file_formats import SLICE, begins_random, extension, format_of, known_extension, sample, sealed, wanted
from tests.actions.backup.tripwire.scenarios import docx, jpeg, pdf, program, text

DICE = random.Random(3)


def cut(content: bytes) -> tuple[bytes, list[bytes], bytes]:
    middle = [content[at : at + SLICE] for at in range(SLICE, len(content) - SLICE, SLICE)]
    return content[:SLICE], middle, content[-SLICE:]


@pytest.mark.parametrize("make", [text, program])
def test_text_and_programs_are_not_random(make: object) -> None:
    found = sample(*cut(make(DICE, 20_000)))  # type: ignore[operator]
    assert (found.opaque, found.head_opaque, found.broken) == (0, False, False)


def test_random_bytes_are_random_whatever_the_size() -> None:
    for size in (256, 300, 511, 512, 4096, 20_000):
        found = sample(*cut(DICE.randbytes(size)))
        assert found.opaque == found.slices > 0, size
        assert found.head_opaque
    assert sample(b"short", [], b"").slices == 0


@pytest.mark.parametrize(("make", "name"), [(jpeg, "jpeg"), (docx, "zip"), (pdf, "pdf")])
def test_whole_files_are_what_they_begin_as_and_encrypted_ones_are_not(make: object, name: str) -> None:
    content = make(DICE, 20_000)  # type: ignore[operator]
    assert (sample(*cut(content)).format, sample(*cut(content)).broken) == (name, False)
    inside = content[:600] + DICE.randbytes(len(content) - 600)
    assert sample(*cut(inside)).broken, "the beginning was kept and the rest encrypted"


def test_a_quick_look_tells_random_beginnings() -> None:
    assert sum(begins_random(DICE.randbytes(512)) for _ in range(500)) == 500
    assert not any(begins_random(make(DICE, 600)) for make in (text, program, jpeg, docx) for _ in range(50))
    assert not begins_random(b"short")


def test_blank_slices_are_counted() -> None:
    assert sample(bytes(512), [bytes(512)], text(DICE, 512)).blank == 2


def test_names_promise_formats_and_some_extensions_are_usual() -> None:
    assert (wanted("/x/a.JPG"), wanted("b.docx"), wanted("c"), wanted("d.txt")) == ("jpeg", "zip", "", "")
    assert (extension("a.tar.GZ"), extension(".profile"), extension("x")) == ("gz", "", "")
    for name in ("a.txt", "log.1", "log.20260101", "x.dpkg-old", "README", "x.bak~"):
        assert known_extension(name), name
    assert not known_extension("report.docx.locked")


def test_what_says_of_itself_that_it_is_encrypted() -> None:
    assert sealed(b"Salted__" + DICE.randbytes(500), b"")
    assert sealed(b"PK\x03\x04\x14\x00\x01\x00" + bytes(20), b"")
    assert not sealed(docx(DICE, 4000)[:512], b"")
    assert sealed(b"7z\xbc\xaf\x27\x1c" + bytes(20), bytes(30) + b"\x06\xf1\x07\x01" + bytes(5))
    assert not sealed(gzip.compress(b"x" * 1000)[:512], b"")
    assert format_of(bytes(257) + b"ustar") == "tar"
