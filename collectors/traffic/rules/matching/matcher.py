"""One buffer's tests -> a function that says whether a buffer passes them."""

from collections.abc import Callable
from typing import Any

from collectors.traffic.rules.language.rule import (
    Absent,
    Asn1,
    Base64Decode,
    Bsize,
    BufferTest,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Content,
    Datarep,
    Dataset,
    Entropy,
    IsDataAt,
    Pcre,
    Urilen,
)
from collectors.traffic.rules.matching import contents, numbers, steps
from collectors.traffic.rules.matching.state import YES, Scan, State, Step
from collectors.traffic.rules.matching.transforms import changes

_STEPS: dict[type, Callable[[Any, Step | None], Step]] = {
    Content: contents.content_step,
    Pcre: steps.pcre_step,
    ByteTest: numbers.test_step,
    ByteJump: numbers.jump_step,
    ByteExtract: numbers.extract_step,
    ByteMath: numbers.math_step,
    IsDataAt: steps.isdataat_step,
    Bsize: steps.bsize_step,
    Urilen: steps.urilen_step,
    Base64Decode: steps.base64_step,
    Dataset: steps.lookup_step,
    Datarep: steps.lookup_step,
    Entropy: steps.entropy_step,
    Asn1: steps.asn1_step,
}


class Matcher:
    """The compiled tests of one `BufferTest`. Call it with one value of the buffer.

    `matcher(data, state, begin=0, whole=True)`: `data` is the buffer before its transforms, or None when there is none; `begin` how many
    bytes of the buffer came before this chunk; `whole` whether the buffer will not grow. Raises nothing, whatever the bytes are.
    """

    __slots__ = ("_absent", "_base64", "_change", "_first", "buffer", "transforms")

    def __init__(self, test: BufferTest, base64: BufferTest | None = None) -> None:
        """`base64` is the rule's test of what `base64_decode` yields, if `test` may decode.

        Raises `Refused` for a test that cannot be compiled: a bad expression, a transform that is not there.
        """
        self.buffer = test.buffer
        self.transforms = test.transforms
        self._change = changes(test.transforms)
        absent = next((match for match in test.matches if type(match) is Absent), None)
        self._absent = absent
        decodes = base64 is not None and any(type(match) is Base64Decode for match in test.matches)
        self._base64 = Matcher(base64) if base64 is not None and decodes else None
        self._first: Step | None = None
        for match in reversed(test.matches):
            if type(match) is not Absent:
                self._first = _STEPS[type(match)](match, self._first)

    def __call__(self, data: bytes | None, state: State, begin: int = 0, whole: bool = True) -> bool:
        """Return whether the buffer passes."""
        if data is None:
            return self._absent is not None
        if self._change is not None:
            data = self._change(data)
        if self._first is None or self._base64 is not None:
            return self.transformed(data, state, begin, whole)
        scan = Scan(data, state, begin, whole)
        found = self._first(scan)
        if scan.steps <= 0:
            state.asked_too_much += 1
            return False
        return found == YES

    def transformed(self, data: bytes, state: State, begin: int = 0, whole: bool = True) -> bool:
        """Return whether a buffer passes to which `transforms` have been applied already (those that share it pay once)."""
        if self._first is None:
            return self._absent is None or self._absent.or_else
        if self._base64 is not None:
            state.base64 = self._base64
        scan = Scan(data, state, begin, whole)
        found = self._first(scan) == YES
        if scan.steps <= 0:
            state.asked_too_much += 1
            return False
        return found
