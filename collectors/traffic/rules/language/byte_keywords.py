"""Keywords that read numbers out of a buffer, and those that look at its size: byte_test and its relatives, isdataat, bsize, urilen."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

from collections.abc import Iterator

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import U16, U32, U64, integer, number
from collectors.traffic.rules.language.rule import (
    Absent,
    Asn1,
    Base64Decode,
    Bsize,
    ByteExtract,
    ByteJump,
    ByteMath,
    ByteTest,
    Content,
    Entropy,
    IsDataAt,
    Match,
    Urilen,
)

BASES = {"hex": 16, "dec": 10, "oct": 8}
MOST_DIGITS = {16: 14, 10: 20, 8: 23}
OPERATORS = ("<=", ">=", "<", ">", "=", "&", "^")
BIGGEST_OFFSET = (1 << 31) - 1


class _Words:
    """The words behind the fixed ones of a byte keyword: taken one by one, each at most once."""

    def __init__(self, keyword: str, words: list[str]) -> None:
        self.keyword = keyword
        self.words = words
        self.seen: set[str] = set()
        self.relative = False
        self.endian = ""
        self.base = 0
        self.string = False
        self.bitmask = 0

    def rest(self) -> Iterator[tuple[str, str]]:
        """Read what all byte keywords share; yield what is left as (word, value)."""
        for item in self.words:
            word, _, value = item.partition(" ")
            if word not in BASES and word in self.seen:
                raise Refused(f"{self.keyword}: {word} is there twice")
            self.seen.add(word)
            if not self._shared(word, value.strip()):
                yield word, value.strip()
        if self.string and not self.base:
            self.base = 10
        if self.base and not self.string:
            raise Refused(f"{self.keyword}: hex, dec and oct stand behind string")
        if self.string and self.endian:
            raise Refused(f"{self.keyword}: a string of digits has no endianness")

    def _shared(self, word: str, value: str) -> bool:
        if word == "relative":
            self.relative = True
        elif word in {"big", "little", "dce"} and not value:
            self._endian(word)
        elif word == "endian":
            if value not in {"big", "little", "dce"}:
                raise Refused(f'{self.keyword}: "{value}" is not an endianness')
            self._endian(value)
        elif word == "string":
            self.string = True
            if value:
                self._base(value)
        elif word in BASES:
            self._base(word)
        elif word == "bitmask":
            self.bitmask = integer(value if value[:2].lower() == "0x" else f"0x{value}", 1, U32)
        else:
            return False
        return True

    def _endian(self, value: str) -> None:
        if self.endian:
            raise Refused(f"{self.keyword}: endianness is there twice")
        self.endian = value

    def _base(self, value: str) -> None:
        if value not in BASES or self.base:
            raise Refused(f'{self.keyword}: "{value}" is not one of hex, dec and oct')
        self.base = BASES[value]

    def unknown(self, word: str) -> Refused:
        return Refused(f'{self.keyword}: "{word}" is not known')

    def size(self, nbytes: int | str, binary: int = 8) -> None:
        """Check how many bytes are to be read."""
        most = MOST_DIGITS[self.base] if self.base else binary
        least = 0 if self.base else 1  # no length before a string of digits: as many digits as there are
        if isinstance(nbytes, int) and not least <= nbytes <= most:
            raise Refused(f"{self.keyword}: {nbytes} bytes cannot be read, {most} at most")


def _split(keyword: str, argument: str, fixed: int) -> tuple[list[str], _Words]:
    words = [" ".join(part.split()) for part in argument.split(",")]
    if len(words) < fixed:
        raise Refused(f'{keyword}: "{argument}" has fewer than {fixed} parts')
    return words[:fixed], _Words(keyword, words[fixed:])


def _value(draft: Draft, text: str, lowest: int, highest: int) -> int | str:
    word = text.strip()
    if word[:1].isalpha() or word[:1] == "_":
        if word not in draft.variables:
            raise Refused(f'"{word}" was not extracted before it is used')
        return word
    return integer(word, lowest, highest)


def _add(draft: Draft, match: Match, relative: bool, endian: str) -> None:
    if endian == "dce":
        draft.protocol("dcerpc", "dce")
    test = draft.add_relative(match) if relative else draft.add(match)
    if relative:
        draft.relative(match, test)


def _byte_test(draft: Draft, argument: str, negated: bool) -> None:
    (nbytes, operator, value, offset), words = _split("byte_test", argument, 4)
    inverted = operator.startswith("!")
    op = operator.removeprefix("!").strip() or "="
    if op not in OPERATORS:
        raise Refused(f'byte_test: "{operator}" is not an operator')
    for word, _ in words.rest():
        raise words.unknown(word)
    match = ByteTest(
        _value(draft, nbytes, 0, 23),
        op,
        _value(draft, value, 0, U64),
        _value(draft, offset, -BIGGEST_OFFSET, BIGGEST_OFFSET),
        inverted,
        words.relative,
        words.endian or "big",
        words.base,
        words.bitmask,
    )
    words.size(match.nbytes)
    _add(draft, match, match.relative, words.endian)


def _byte_jump(draft: Draft, argument: str, negated: bool) -> None:
    (nbytes, offset), words = _split("byte_jump", argument, 2)
    multiplier, align, origin, post = 1, False, "", 0
    for word, value in words.rest():
        if word == "multiplier":
            multiplier = integer(value, 1, U16)
        elif word == "align":
            align = True
        elif word in {"from_beginning", "from_end"}:
            if origin:
                raise Refused("byte_jump: from_beginning and from_end exclude each other")
            origin = word.removeprefix("from_")
        elif word == "post_offset":
            post = integer(value, -BIGGEST_OFFSET, BIGGEST_OFFSET)
        else:
            raise words.unknown(word)
    match = ByteJump(
        _value(draft, nbytes, 0, 23),
        _value(draft, offset, -BIGGEST_OFFSET, BIGGEST_OFFSET),
        words.relative,
        multiplier,
        words.endian or "big",
        words.base,
        align,
        origin,
        post,
        words.bitmask,
    )
    if match.nbytes != 0:
        words.size(match.nbytes)
    _add(draft, match, match.relative, words.endian)


def _name(draft: Draft, text: str) -> str:
    word = text.strip()
    if not (word[:1].isalpha() or word[:1] == "_") or not all(char.isalnum() or char in "_-." for char in word):
        raise Refused(f'"{word}" cannot be the name of a variable')
    return word


def _byte_extract(draft: Draft, argument: str, negated: bool) -> None:
    (nbytes, offset, name), words = _split("byte_extract", argument, 3)
    multiplier, align = 1, 0
    for word, value in words.rest():
        if word == "multiplier":
            multiplier = integer(value, 1, U16)
        elif word == "align":
            align = integer(value, 2, 4)
            if align == 3:
                raise Refused("byte_extract: align is 2 or 4")
        else:
            raise words.unknown(word)
    match = ByteExtract(
        integer(nbytes, 1, 23),
        integer(offset, -BIGGEST_OFFSET, BIGGEST_OFFSET),
        _name(draft, name),
        words.relative,
        multiplier,
        words.endian or "big",
        words.base,
        align,
    )
    words.size(match.nbytes)
    _add(draft, match, match.relative, words.endian)
    draft.variables.add(match.name)


def _byte_math(draft: Draft, argument: str, negated: bool) -> None:
    given: dict[str, str] = {}
    _, words = _split("byte_math", argument, 0)
    for word, value in words.rest():
        if word not in {"bytes", "offset", "oper", "rvalue", "result"} or not value:
            raise words.unknown(word)
        given[word] = value
    missing = [word for word in ("bytes", "offset", "oper", "rvalue", "result") if word not in given]
    if missing:
        raise Refused(f"byte_math: {', '.join(missing)} is missing")
    if given["oper"] not in {"+", "-", "*", "/", "<<", ">>"}:
        raise Refused(f'byte_math: "{given["oper"]}" is not an operator')
    match = ByteMath(
        _value(draft, given["bytes"], 1, 10),
        integer(given["offset"], -BIGGEST_OFFSET, BIGGEST_OFFSET),
        given["oper"],
        _value(draft, given["rvalue"], 1, U32),
        _name(draft, given["result"]),
        words.relative,
        words.endian or "big",
        words.base,
        words.bitmask,
    )
    if not words.base:
        words.size(match.nbytes, 4)
    _add(draft, match, match.relative, words.endian)
    draft.variables.add(match.name)


def _isdataat(draft: Draft, argument: str, negated: bool) -> None:
    words = [part.strip() for part in argument.split(",")]
    inverted = words[0].startswith("!")
    try:
        at = _value(draft, words[0].removeprefix("!"), 0, U16)
    except Refused as refused:
        raise Refused(f"isdataat: {refused}") from None
    if set(words[1:]) - {"relative", "rawbytes"}:
        raise Refused(f'isdataat: "{argument}" has words other than relative and rawbytes')
    _add(draft, IsDataAt(at, inverted, "relative" in words), "relative" in words, "")


def _bsize(draft: Draft, argument: str, negated: bool) -> None:
    if not draft.sticky:
        raise Refused("bsize has no sticky buffer before it")
    test = draft.add(Bsize(number(argument, U64)))
    size = number(argument, U64)
    most = {"=": size.low, "<": size.low - 1, "<=": size.low, "in": size.high - 1}.get(size.op)
    for match in test.matches:
        if type(match) is not Content or match.negated or most is None:
            continue
        offset = match.offset if isinstance(match.offset, int) else 0
        if len(match.pattern) + offset > most:
            raise Refused(f"bsize:{argument} leaves no room for a content of {len(match.pattern)} bytes")


def _urilen(draft: Draft, argument: str, negated: bool) -> None:
    size, comma, kind = argument.partition(",")
    if comma and kind.strip() not in {"raw", "norm"}:
        raise Refused(f'urilen: "{kind.strip()}" is neither raw nor norm')
    buffer = BUFFERS["http.uri.raw" if kind.strip() == "raw" else "http.uri"]
    draft.protocol("http", "urilen")
    draft.modified(buffer).matches.append(Urilen(number(size, U16)))


def _absent(draft: Draft, argument: str, negated: bool) -> None:
    if not draft.sticky:
        raise Refused("absent has no sticky buffer before it")
    if argument not in {"", "or_else"}:
        raise Refused(f'absent: "{argument}" is not or_else')
    test = draft.place()
    if test.matches:
        raise Refused("absent stands directly behind its buffer")
    draft.add(Absent(argument == "or_else"))


def _base64_decode(draft: Draft, argument: str, negated: bool) -> None:
    match = Base64Decode()
    for item in (part.strip() for part in argument.split(",") if part.strip()):
        word, _, value = item.partition(" ")
        if word == "bytes":
            match.bytes = integer(value, 1, U32)
        elif word == "offset":
            match.offset = integer(value, 0, U32)
        elif word == "relative":
            match.relative = True
        else:
            raise Refused(f'base64_decode: "{item}" is not known')
    test = draft.add_relative(match) if match.relative else draft.add(match)
    if match.relative:
        draft.relative(match, test)


def _base64_data(draft: Draft, argument: str, negated: bool) -> None:
    if not any(type(match) is Base64Decode for match, _ in draft.order):
        raise Refused("base64_data has no base64_decode before it")
    draft.stick_base64()


def _entropy(draft: Draft, argument: str, negated: bool) -> None:
    match = Entropy("=", 0.0)
    parts = [part.strip() for part in argument.split(",")]
    given = ""
    for part in parts:
        word, _, value = part.partition(" ")
        if word == "bytes":
            match.bytes = integer(value, 1, U32)
        elif word == "offset":
            match.offset = integer(value, 0, U32)
        else:
            given = value if word == "value" else part
    text = given.replace(" ", "")
    op = next((sign for sign in ("<=", ">=", "!=", "<", ">", "=", "!") if text.startswith(sign)), "")
    low, dash, high = text[len(op) :].partition("-")
    try:
        match.op, match.value = (("!in" if op in ("!", "!=") else "in") if dash else op or "="), float(low)
        match.high = float(high) if dash else 0.0
    except ValueError:
        raise Refused(f'entropy: "{argument}" has no value to compare with') from None
    if match.op == "!":
        match.op = "!="
    if not 0.0 <= match.value <= 8.0:
        raise Refused("entropy: values are between 0.0 and 8.0")
    draft.add(match)


def _asn1(draft: Draft, argument: str, negated: bool) -> None:
    match = Asn1()
    for item in (" ".join(part.split()) for part in argument.replace(", ", ",").split(",")):
        word, _, value = item.partition(" ")
        if word == "bitstring_overflow":
            match.bitstring_overflow = True
        elif word == "double_overflow":
            match.double_overflow = True
        elif word == "oversize_length":
            match.oversize_length = integer(value, 1, U32)
        elif word == "absolute_offset":
            match.absolute_offset = integer(value, 0, U16)
        elif word == "relative_offset":
            match.relative_offset = integer(value, -U16, U16)
        else:
            raise Refused(f'asn1: "{item}" is not known')
    test = draft.add(match)
    if match.relative_offset is not None:
        draft.relative(match, test)


KEYWORDS: dict[str, Keyword] = {
    "byte_test": Keyword(_byte_test),
    "byte_jump": Keyword(_byte_jump),
    "byte_extract": Keyword(_byte_extract),
    "byte_math": Keyword(_byte_math),
    "isdataat": Keyword(_isdataat),
    "bsize": Keyword(_bsize),
    "urilen": Keyword(_urilen),
    "absent": Keyword(_absent, OPTIONAL),
    "base64_decode": Keyword(_base64_decode, OPTIONAL),
    "base64_data": Keyword(_base64_data, 0),
    "entropy": Keyword(_entropy),
    "asn1": Keyword(_asn1),
}
