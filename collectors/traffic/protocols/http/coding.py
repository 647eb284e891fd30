"""Content codings: gzip, deflate with and without header, Brotli, Zstandard and LZMA, one inside the other, with bounds against bombs.

Like browsers, it does not insist: checksums are not looked at, what calls itself gzip may be deflate and the other way round, and a
body that is not compressed at all is taken as it is.
"""

import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

import brotli
import zstandard

from collectors.traffic.protocols.account import Meter
from collectors.traffic.protocols.packing import TURNS

GZIP: Final = "gzip"
DEFLATE: Final = "deflate"
ZLIB: Final = "zlib"
LZMA: Final = "lzma"
BROTLI: Final = "br"
ZSTD: Final = "zstd"

_NEXT: Final = {GZIP: DEFLATE, DEFLATE: ZLIB, ZLIB: GZIP, LZMA: DEFLATE, BROTLI: DEFLATE, ZSTD: DEFLATE}
_RESTARTS: Final = 3
_PIECE: Final = 65_536
_LZMA_MEMORY: Final = 1_048_576
_MAX_HEADER: Final = 65_536 + 1_024


MOST_AGAIN: Final = 64
BYTES_AGAIN: Final = 8_192
DECODED_AGAIN: Final = 262_144
"""A decoder is done without, and made anew from what came, while that were at most so many pieces and bytes, which became so many."""


class Undecodable(Exception):
    """The data is not what the coding says."""


class _Gzip:
    """Raw deflate behind a gzip header, which is read here because odd ones are accepted, and trailers are not looked at."""

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._inflate = zlib.decompressobj(-15)

    def feed(self, data: bytes, limit: int) -> tuple[bytes, bytes, bool]:
        if self._head is not None:
            head = self._head + data
            length = _gzip_header(head)
            if length is None:
                if len(head) > _MAX_HEADER:
                    raise Undecodable
                self._head = head
                return b"", b"", False
            self._head = None
            data = head[length:]
        return _inflate(self._inflate, data, limit)


class _Deflate:
    def __init__(self, window: int) -> None:
        self._inflate = zlib.decompressobj(window)
        self.guessed = False

    def feed(self, data: bytes, limit: int) -> tuple[bytes, bytes, bool]:
        return _inflate(self._inflate, data, limit, self.guessed)


def _inflate(inflate: Any, data: bytes, limit: int, guessed: bool = False) -> tuple[bytes, bytes, bool]:
    """Inflate; bytes before an error count, unless the coding is only a guess (any text begins like raw deflate)."""
    before = inflate.copy()
    try:
        out = inflate.decompress(data, limit)
    except zlib.error as error:
        out = b"" if guessed else _as_far_as_it_goes(before, data, limit)
        if not out:
            raise Undecodable from error
        return out, b"", True
    return out, inflate.unconsumed_tail, inflate.eof


def _as_far_as_it_goes(inflate: Any, data: bytes, limit: int) -> bytes:
    """Return what comes out before the byte that does not hold (the library keeps none of it)."""
    out = bytearray()
    try:
        for at in range(min(len(data), _PIECE)):
            out += inflate.decompress(data[at : at + 1], max(1, limit - len(out)))
    except zlib.error:
        pass
    return bytes(out)


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def feed(self, data: bytes, limit: int) -> tuple[bytes, bytes, bool]:
        try:
            out = self._decoder.process(data, output_buffer_limit=limit)
            while not self._decoder.can_accept_more_data() and len(out) < limit:
                more = self._decoder.process(b"", output_buffer_limit=limit)
                if not more:
                    break
                out += more
        except brotli.error as error:
            raise Undecodable from error
        return out, b"", self._decoder.is_finished()


class _Zstd:
    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024).decompressobj()

    def feed(self, data: bytes, limit: int) -> tuple[bytes, bytes, bool]:
        # The library has no bound on one call's output: feed it so little that a block's 128 KiB are the most that can come out at once.
        out, at = b"", 0
        try:
            while at < len(data) and len(out) < limit and not self._decoder.eof:
                out += self._decoder.decompress(data[at : at + 64])
                at += 64
        except zstandard.ZstdError as error:
            raise Undecodable from error
        return out, data[at:], self._decoder.eof


class _Lzma:
    def __init__(self) -> None:
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY + 65_536)

    def feed(self, data: bytes, limit: int) -> tuple[bytes, bytes, bool]:
        if self._decoder.eof:
            return b"", b"", True
        try:
            out = self._decoder.decompress(data, limit)
        except (lzma.LZMAError, EOFError) as error:
            raise Undecodable from error
        return out, b"", self._decoder.eof


_MAKERS: Final[dict[str, Callable[[], Any]]] = {
    GZIP: _Gzip,
    DEFLATE: lambda: _Deflate(-15),
    ZLIB: lambda: _Deflate(15),
    LZMA: _Lzma,
    BROTLI: _Brotli,
    ZSTD: _Zstd,
}


class Layer:
    """One coding. When the data is of another one, the likely ones are tried, then it is passed through."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decoder = _MAKERS[coding]()
        self._restarts = 0
        self._written = False
        self._seen = b""
        self.passing = False
        self.done = False
        self.failed = False

    def feed(self, data: bytes, limit: int) -> bytes:
        """Decode bytes; at most `limit` come out (a little more for zstd), what is beyond is lost."""
        if self.passing:
            return data
        if self.done or self.failed:
            return b""
        if not self._written and len(self._seen) <= _MAX_HEADER:
            self._seen += data
        while True:
            try:
                return self._decode(data, limit)
            except Undecodable:
                if self._written:
                    self.failed = True
                    return b""
            data = self._seen or data
            if self._restarts >= _RESTARTS:
                self.passing = True
                return data
            self._restarts += 1
            self._coding = _NEXT[self._coding]
            self._decoder = _MAKERS[self._coding]()
            if isinstance(self._decoder, _Deflate):
                self._decoder.guessed = True

    def _decode(self, data: bytes, limit: int) -> bytes:
        out = bytearray()
        while len(out) < limit:
            try:
                piece, data, self.done = self._decoder.feed(data, min(_PIECE, limit - len(out)))
            except Undecodable:
                if out:
                    self._written = True
                    self.failed = True
                    return bytes(out)
                raise
            out += piece
            if self.done or (not data and len(piece) < _PIECE):
                break
        if out:
            self._written = True
            self._seen = b""
        return bytes(out)


def _gzip_header(data: bytes) -> int | None:
    """Return the length of a gzip header, None when more bytes are needed; raises Undecodable."""
    if not b"\x1f\x8b\x08".startswith(data[:3]):
        raise Undecodable
    if len(data) < 10:
        return None
    flags, at = data[3], 10
    if flags & 4:
        if len(data) < at + 2:
            return None
        at += 2 + (data[at] | data[at + 1] << 8)
    for flag in (8, 16):
        if flags & flag:
            end = data.find(b"\0", at)
            if end < 0:
                return None
            at = end + 1
    if flags & 2:
        at += 2
    return at if len(data) >= at else None


class Codings:
    """All layers of a body, the outermost first. `events` collects what was odd, by the part of Suricata's name behind the side."""

    def __init__(self, field: bytes, layers: int, bomb_bytes: int, bomb_ratio: int, meter: Meter | None = None) -> None:
        """`meter` is told how much comes out, and what the decoders take."""
        self.events: list[str] = []
        self._meter = meter if meter is not None else Meter()
        self._bomb_bytes = bomb_bytes
        self._bomb_ratio = bomb_ratio
        self._in = 0
        self._out = 0
        self.bombed = False
        self.names = list(reversed(self._names(field, layers)))
        self._layers: list[Layer] = []
        self._came: list[bytes] | None = []
        self._turns = 0

    def _names(self, field: bytes, limit: int) -> list[str]:
        """Return the codings as named, in the order in which they were applied."""
        value = field.lower().replace(b"\0", b"")
        whole = _WHOLE.get(value)
        if whole is not None:
            return [whole] if whole else []
        names: list[str] = []
        count = lzmas = 0
        for part in field.replace(b",", b" ").split(b" "):
            if not part:
                continue
            count += 1
            if count > limit:
                self.events.append("too_many_encoding_layers")
                break
            name = self._one(part)
            if name == LZMA:
                lzmas += 1
                if lzmas > 1:
                    self.events.append("too_many_lzma_layers")
                    break
            if name:
                names.append(name)
        return names

    def _one(self, part: bytes) -> str:
        lower = part.lower()
        for word, name in ((b"gzip", GZIP), (b"deflate", DEFLATE)):
            if word in lower:
                if part not in (word, b"x-" + word):
                    self.events.append("abnormal_ce_header")
                return name
        exact = _WHOLE.get(lower)
        if exact is None:
            self.events.append("abnormal_ce_header")
        return exact or ""

    def feed(self, data: bytes) -> bytes:
        """Decode bytes through all layers; after a bomb nothing more comes out."""
        if not self.names:
            return data
        if self.bombed:
            return b""
        if not self._layers:
            self._wake()
        came = self._came
        if came is not None:
            came.append(data)
            if len(came) > MOST_AGAIN or self._in + len(data) > BYTES_AGAIN:
                self._came = None
        self._in += len(data)
        data = self._decode(data, max(self._bomb_bytes, self._bomb_ratio * self._in) - self._out)
        self._out += len(data)
        self._meter.grown += len(data)
        if self._out > self._bomb_bytes and self._out > self._bomb_ratio * self._in:
            self.bombed = True
            self.events.append("compression_bomb")
        return data

    def _decode(self, data: bytes, room: int) -> bytes:
        for layer in self._layers:
            data = layer.feed(data, min(room + 1, 16 * 1024 * 1024))
            if not data:
                break
        return data

    def _wake(self) -> None:
        """Make the decoders, and bring them to where they were."""
        self._layers = [Layer(name) for name in self.names]
        self._meter.grown += self._decoders()
        before, out = 0, 0
        for piece in self._came or ():
            before += len(piece)
            out += len(self._decode(piece, max(self._bomb_bytes, self._bomb_ratio * before) - out))

    def _decoders(self) -> int:
        size = 0
        for name in self.names:
            least, most = _COSTS[name]
            size += least + min(2 * self._out, most)
        return size

    def held(self) -> int:
        """Return about how much memory the decoders take, and what is kept to make them anew."""
        size = self._in if self._came is not None else 0
        if self._layers:
            # Before anything comes out, what came is kept to try other codings on.
            size += self._decoders() + (0 if self._out else 2 * min(self._in, _MAX_HEADER))
        return size

    def shrink(self) -> None:
        """Do without decoders until more comes, where that costs little then."""
        if self.bombed:
            self._layers, self._came = [], None
        elif self._layers and self._came is not None and self._turns < TURNS and self._out <= DECODED_AGAIN:
            self._turns += 1
            self._layers = []


_COSTS: Final = {
    GZIP: (48_000, 0),
    DEFLATE: (48_000, 0),
    ZLIB: (48_000, 0),
    LZMA: (64_000, _LZMA_MEMORY),
    BROTLI: (64_000, 16_777_216),
    ZSTD: (160_000, 8_519_680),
}
"""What a decoder takes, and how much more at most as its window fills."""

_WHOLE: Final = {
    b"gzip": GZIP,
    b"x-gzip": GZIP,
    b"deflate": DEFLATE,
    b"x-deflate": DEFLATE,
    b"lzma": LZMA,
    b"br": BROTLI,
    b"zstd": ZSTD,
    b"inflate": "",
    b"none": "",
}
