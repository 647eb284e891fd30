"""What is remembered while one rule is evaluated: values by name, captures, and what of the buffer has been found."""

from collections.abc import Callable

STEPS = 3_000
"""How many tests one buffer may cost, Suricata's stock `inspection-recursion-limit`: beyond it the buffer does not match."""

Captures = list[tuple[str, str, bytes]]


class State:
    """One rule on one packet or transaction.

    `values` are those of byte_extract and byte_math; `captures` those of pcre: (flow, pkt or alert), name, bytes. `little` is the byte
    order of the DCERPC message, None outside of one. `base64` is the matcher of what base64_decode yields (the
    buffer's own matcher sets it). `lookup` answers dataset and
    datarep: (the match value, the buffer) -> whether it holds; without one nothing is in any set. `asked_too_much` counts buffers that
    were given up at `STEPS`, `too_hard` expressions given up at their limit.
    """

    __slots__ = ("asked_too_much", "base64", "captures", "little", "lookup", "too_hard", "values")

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.captures: Captures = []
        self.little: bool | None = None
        self.base64: Callable[[bytes, State], bool] | None = None
        self.lookup: Callable[[object, bytes], bool] | None = None
        self.asked_too_much = 0
        self.too_hard = 0


class Scan:
    """One buffer under test. `pos` is the end of the last match (Suricata's `buffer_offset`), `begin` how much of it came before."""

    __slots__ = ("_lower", "begin", "data", "pos", "size", "state", "steps", "whole")

    def __init__(self, data: bytes, state: State, begin: int, whole: bool) -> None:
        self.data = data
        self.size = len(data)
        self.pos = 0
        self.begin = begin
        self.whole = whole
        self.state = state
        self.steps = STEPS
        self._lower: bytes | None = None

    def lower(self) -> bytes:
        """Return the buffer in lower case (ASCII), made once."""
        if self._lower is None:
            self._lower = self.data.lower()
        return self._lower


Step = Callable[[Scan], int]
"""One test and all that follow it: 1 they hold, 0 they do not (another place of the match before may help), -1 nothing will help."""

YES, NO, NEVER = 1, 0, -1
