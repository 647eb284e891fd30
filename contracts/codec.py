"""Strict decoding of untrusted bytes: size first, then type; nothing but `Malformed` comes out."""

from typing import Generic, TypeVar

import msgspec

from contracts.errors import Malformed, TooLarge
from contracts.tolerant import Tolerant

T = TypeVar("T")
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
"""What msgspec raises for bytes that are not what was expected: of another form, not UTF-8, nested too deeply, a number too large."""


class Codec(Generic[T]):
    """MessagePack for one type, with a limit in bytes for both directions.

    Unknown fields are an error, unless the other side may be of another version (`tolerant`): then they are passed over.
    """

    def __init__(self, kind: type[T], max_bytes: int, *, tolerant: bool = False) -> None:
        self.max_bytes = max_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: Tolerant[T] | msgspec.msgpack.Decoder[T] = (
            Tolerant(kind) if tolerant else msgspec.msgpack.Decoder(kind)
        )

    def encode(self, value: T) -> bytes:
        """Return `value` encoded; raises `TooLarge`, or `Malformed` for a value MessagePack cannot carry."""
        try:
            body = self._encoder.encode(value)
        except (UnicodeEncodeError, OverflowError, RecursionError, TypeError) as error:
            raise Malformed(f"cannot be encoded: {error}") from error
        if len(body) > self.max_bytes:
            raise TooLarge(f"{len(body)} bytes, more than the limit of {self.max_bytes}")
        return body

    def decode(self, body: bytes) -> T:
        """Return the value in `body`; raises `Malformed` or `TooLarge`."""
        if len(body) > self.max_bytes:
            raise TooLarge(f"{len(body)} bytes, more than the limit of {self.max_bytes}")
        try:
            return self._decoder.decode(body)
        except UNDECODABLE as error:
            raise Malformed(f"does not decode: {error}") from error
