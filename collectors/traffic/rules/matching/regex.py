"""Perl regular expressions over bytes, by PCRE2, each search within a limit of steps.

The engine is PCRE2 through its `pcre2` binding: Suricata's own, so that an expression means the same. Hyperscan's Chimera knows the
older PCRE, cannot begin in the middle of its input, and its binding sets no limit. The limit stands in front of the pattern
(`(*LIMIT_MATCH=…)`, pcre2pattern(3)): backtracking bombs end there, and are counted.
"""

import re
from collections.abc import Callable
from typing import Any

import pcre2  # type: ignore[import-untyped]

from collectors.traffic.rules.language.errors import Refused

LIMIT = 3_500
"""Match limit, as in Suricata's stock configuration; counted by the compiled code."""

LIMIT_INTERPRETED = 35_000
"""The same where no code can be compiled (memory that is both written and executed is forbidden): there every step counts."""

LIMIT_RAISED = 100_000
"""For expressions with the flag O, which asks for no limit at all."""

LONGEST = 65_536

CASELESS, MULTILINE, DOTALL, EXTENDED = 0x8, 0x400, 0x20, 0x80
DOLLAR_ENDONLY, UNGREEDY = 0x10, 0x40000
_OPTIONS = {
    "i": CASELESS,
    "m": MULTILINE,
    "s": DOTALL,
    "x": EXTENDED,
    "E": DOLLAR_ENDONLY,
    "G": UNGREEDY,
}

_HEX = re.compile(rb"(\\\\)|\\x(?:\{([0-9A-Fa-f]{1,2})\}|([0-9A-Fa-f]{0,2}))|\\([uULlFN])")

Search = Callable[[bytes, int], Any]
"""(bytes, where to begin) -> a match (`start()`, `end()`, `group(n)`), or None; raises `TooHard`."""


class TooHard(Exception):
    """An expression was given up at its limit."""


class Expression:
    """One expression, compiled when it is first needed. `given_up` counts the searches that reached the limit."""

    __slots__ = ("_compiled", "_raised", "_source", "flags", "given_up", "groups", "pattern")

    def __init__(self, pattern: bytes, flags: str = "") -> None:
        self.pattern = pattern
        self.flags = flags
        self.given_up = 0
        self.groups = 0
        self._raised = "O" in flags
        self._source = perl(pattern)
        if "A" in flags:
            # The binding has no option for it. The line end closes a comment, which only x allows.
            self._source = rb"\G(?:" + self._source + (b"\n)" if "x" in flags else b")")
        self._compiled: Any = None

    def check(self) -> None:
        """Raise `Refused` unless the expression can be compiled."""
        if len(self.pattern) > LONGEST:
            raise Refused(f"pcre: the expression has {len(self.pattern)} bytes, more than {LONGEST}")
        try:
            compiled = pcre2.compile(self._source, self._options(), jit=False)
        except pcre2.PatternError as error:
            raise Refused(f"pcre: {error}") from None
        self.groups = compiled.groups

    def search(self, data: bytes, begin: int = 0) -> Any:
        """Return the first match at or behind `begin`, or None; raises `TooHard` at the limit."""
        compiled = self._compiled or self._compile()
        try:
            return compiled.search(data, begin)
        except pcre2.LibraryError:
            self.given_up += 1
            raise TooHard from None

    def _options(self) -> Any:
        options = 0
        for flag in self.flags:
            options |= _OPTIONS.get(flag, 0)
        return pcre2.RegexFlag(options)

    def _compile(self) -> Any:
        limit = LIMIT_RAISED if self._raised else LIMIT
        try:
            compiled = pcre2.compile(b"(*LIMIT_MATCH=%d)" % limit + self._source, self._options(), jit=True)
        except pcre2.LibraryError:
            limit = LIMIT_RAISED if self._raised else LIMIT_INTERPRETED
            compiled = pcre2.compile(b"(*LIMIT_MATCH=%d)" % limit + self._source, self._options(), jit=False)
        self._compiled = compiled
        return compiled


def perl(pattern: bytes) -> bytes:
    r"""Return the pattern with `\x` as Perl reads it: the binding reads it as JavaScript does, with two digits or none."""
    if b"\\x" not in pattern and not _HEX.search(pattern):
        return pattern

    def plain(found: re.Match[bytes]) -> bytes:
        if found[1]:
            return found[0]
        if found[4]:
            raise Refused(f"pcre: \\{found[4].decode()} is not supported by PCRE2")
        digits = found[2] if found[2] is not None else found[3]
        return b"\\x" + digits.rjust(2, b"0")

    return _HEX.sub(plain, pattern)
