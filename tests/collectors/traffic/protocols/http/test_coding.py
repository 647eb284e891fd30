import gzip
import lzma
import random
import time
import zlib

import brotli
import pytest
import zstandard

from collectors.traffic.protocols.http.coding import Codings

TEXT = b"The quick brown fox jumps over the lazy dog. " * 40


def raw(data: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(data) + squeeze.flush()


def undone(field: bytes, data: bytes, pieces: int = 1, layers: int = 2) -> tuple[bytes, list[str]]:
    codings = Codings(field, layers, 1 << 20, 2048)
    size = max(1, len(data) // pieces)
    out = b"".join(codings.feed(data[at : at + size]) for at in range(0, len(data), size))
    return out, codings.events


ENCODED = {
    b"gzip": gzip.compress(TEXT),
    b"x-gzip": gzip.compress(TEXT),
    b"deflate": raw(TEXT),
    b"br": brotli.compress(TEXT),
    b"zstd": zstandard.compress(TEXT),
    b"lzma": lzma.compress(TEXT, lzma.FORMAT_ALONE, preset=0),
}


@pytest.mark.parametrize("pieces", [1, 3, 1000])
@pytest.mark.parametrize("name", [name for name in ENCODED if name != b"lzma"])
def test_every_coding_is_undone_in_any_pieces(name: bytes, pieces: int) -> None:
    assert undone(name, ENCODED[name], pieces) == (TEXT, [])


def test_lzma_is_undone_within_its_memory() -> None:
    small = lzma.compress(TEXT, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 65_536}])
    assert undone(b"lzma", small, 7) == (TEXT, [])


@pytest.mark.parametrize(
    ("field", "data"),
    [
        (b"gzip", raw(TEXT)),
        (b"gzip", zlib.compress(TEXT)),
        (b"deflate", zlib.compress(TEXT)),
        (b"deflate", gzip.compress(TEXT)),
        (b"GZip", gzip.compress(TEXT)),
        (b"gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8),
        (b"gzip", gzip.compress(TEXT)[:-8]),
        (b"gzip", gzip.compress(TEXT) + b"junk"),
    ],
)
def test_what_lies_about_its_coding_is_undone_all_the_same(field: bytes, data: bytes) -> None:
    assert undone(field, data)[0] == TEXT


def test_what_is_not_compressed_passes() -> None:
    assert undone(b"gzip", TEXT)[0] == TEXT


def test_layers_up_to_the_limit_are_undone_and_more_are_told() -> None:
    twice = gzip.compress(raw(TEXT))
    assert undone(b"deflate, gzip", twice) == (TEXT, [])
    assert undone(b"deflate gzip", twice)[0] == TEXT
    out, events = undone(b"deflate, gzip, gzip", gzip.compress(twice))
    assert out != TEXT and events == ["too_many_encoding_layers"]


def test_odd_names_are_told_and_taken() -> None:
    assert undone(b"xgzipx", gzip.compress(TEXT)) == (TEXT, ["abnormal_ce_header"])
    assert undone(b"nonsense", TEXT) == (TEXT, ["abnormal_ce_header"])


def test_a_broken_stream_gives_what_came_before_the_break() -> None:
    chance = random.Random(1)
    text = bytes(chance.choices(b"abcdefghijklmnop", k=4000))
    squeezed = bytearray(raw(text))
    squeezed[len(squeezed) // 2 :] = b"\xff" * 50
    out, _ = undone(b"deflate", bytes(squeezed))
    assert len(out) > 1000 and text.startswith(out[:1000])


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br", b"zstd"])
def test_bombs_end_early_and_are_told(name: bytes) -> None:
    zeros = b"\0" * (64 << 20)
    bomb = {b"gzip": lambda: gzip.compress(gzip.compress(zeros, 9), 9), b"deflate": lambda: raw(raw(zeros)),
            b"br": lambda: brotli.compress(zeros, quality=5), b"zstd": lambda: zstandard.compress(zeros)}[name]()  # fmt: skip
    field = name + b", " + name if name in (b"gzip", b"deflate") else name
    begun = time.process_time()
    codings = Codings(field, 2, 1 << 20, 20)
    out = sum(len(codings.feed(bomb[at : at + 1460])) for at in range(0, len(bomb), 1460))
    assert codings.events == ["compression_bomb"]
    assert out < 20 << 20
    assert codings.feed(b"more") == b""
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br", b"zstd"])
def test_no_packet_brings_more_than_the_bounds_allow(name: bytes) -> None:
    zeros = b"\0" * (64 << 20)
    bomb = {b"gzip": gzip.compress, b"deflate": raw, b"br": lambda data: brotli.compress(data, quality=5),
            b"zstd": zstandard.compress}[name](zeros)  # fmt: skip
    codings = Codings(name, 2, 1 << 20, 20)
    slack = 1 << 19 if name in (b"br", b"zstd") else 1  # their libraries give whole blocks
    assert len(codings.feed(bomb)) <= max(1 << 20, 20 * len(bomb)) + slack
    assert codings.bombed
