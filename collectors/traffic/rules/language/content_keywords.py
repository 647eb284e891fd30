"""`content` and everything that says where and how it is to be found."""

# ruff: noqa: ARG001 - every keyword is called with the same arguments

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.keyword import NEEDED, NONE, OPTIONAL, Keyword
from collectors.traffic.rules.language.numbers import integer
from collectors.traffic.rules.language.rule import BufferTest, Content

FARTHEST = 1 << 20
LONGEST = 255 * 255


def pattern(argument: str) -> bytes:
    """Return the bytes that a content's argument stands for: `|0D 0a|` is hexadecimal, a backslash keeps `;`, `:`, `"` and itself."""
    if "|" not in argument and "\\" not in argument and '"' not in argument:
        found = argument.encode("latin-1")
    else:
        found = b"".join(_parts(argument))
    if not found:
        raise Refused("content is empty")
    if len(found) > LONGEST:
        raise Refused(f"content has {len(found)} bytes, more than {LONGEST}")
    return found


def _parts(argument: str) -> list[bytes]:
    pieces = argument.split("|")
    if len(pieces) % 2 == 0:
        raise Refused("content: a | is missing")
    return [_hexadecimal(piece) if at % 2 else _literal(piece) for at, piece in enumerate(pieces)]


def _hexadecimal(piece: str) -> bytes:
    try:
        return bytes.fromhex(piece.replace(" ", ""))
    except ValueError:
        raise Refused(f'content: "{piece}" is not hexadecimal') from None


def _literal(piece: str) -> bytes:
    if "\\" not in piece and '"' not in piece:
        return piece.encode("latin-1")
    kept: list[str] = []
    escaped = False
    for char in piece:
        if escaped:
            if char not in '\\;:"':
                raise Refused(f'content: a backslash before "{char}"; write |5C| for a backslash')
            kept.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            raise Refused('content: a " without a backslash before it')
        else:
            kept.append(char)
    if escaped:
        raise Refused("content: ends with a backslash")
    return "".join(kept).encode("latin-1")


def _content(draft: Draft, argument: str, negated: bool) -> None:
    draft.add(Content(pattern(argument), negated))


def _uricontent(draft: Draft, argument: str, negated: bool) -> None:
    if draft.sticky:
        raise Refused("uricontent cannot follow a sticky buffer")
    content = Content(pattern(argument), negated)
    test = draft.add(content)
    draft.move(content, test, BUFFERS["http.uri"])


def _nocase(draft: Draft, argument: str, negated: bool) -> None:
    content, _ = draft.last_content("nocase")
    if content.nocase:
        raise Refused("nocase is there twice for one content")
    content.nocase = True


def _rawbytes(draft: Draft, argument: str, negated: bool) -> None:
    draft.last_content("rawbytes")
    if draft.sticky:
        raise Refused(f"rawbytes cannot be used for {draft.sticky}")


def _place(draft: Draft, argument: str, lowest: int) -> int | str:
    """Return a number, or the name of a variable that an earlier option of the rule has set."""
    word = argument.strip()
    if word[:1].isalpha() or word[:1] == "_":
        if word not in draft.variables:
            raise Refused(f'"{word}" was not extracted before it is used')
        return word
    return integer(word, lowest, FARTHEST)


def _absolute(draft: Draft, keyword: str) -> Content:
    content, _ = draft.last_content(keyword)
    if content.startswith:
        raise Refused(f"{keyword} cannot stand with startswith")
    if content.relative:
        raise Refused(
            f"{keyword} counts from the beginning, distance and within from the match before; one content cannot have both"
        )
    return content


def _offset(draft: Draft, argument: str, negated: bool) -> None:
    content = _absolute(draft, "offset")
    if content.offset is not None:
        raise Refused("offset is there twice for one content")
    if content.negated and content.fast_pattern:
        raise Refused("a negated fast_pattern cannot have offset")
    content.offset = _place(draft, argument, 0)
    if type(content.offset) is int:
        if content.offset > 65_535:
            raise Refused(f"offset {content.offset} is more than 65535")
        if type(content.depth) is int:
            content.depth += content.offset


def _depth(draft: Draft, argument: str, negated: bool) -> None:
    content = _absolute(draft, "depth")
    if content.depth is not None:
        raise Refused("depth is there twice for one content")
    depth = _place(draft, argument, 0)
    if type(depth) is int:
        if depth < len(content.pattern):
            raise Refused(f"depth {depth} is less than the content's {len(content.pattern)} bytes")
        if type(content.offset) is int:
            depth += content.offset
    content.depth = depth


def _relative(draft: Draft, keyword: str) -> tuple[Content, BufferTest]:
    content, test = draft.last_content(keyword)
    if content.startswith:
        raise Refused(f"{keyword} cannot stand with startswith")
    if content.offset is not None or content.depth is not None:
        raise Refused(
            f"{keyword} counts from the match before, offset and depth from the beginning; one content cannot have both"
        )
    if content.only:
        raise Refused(f"{keyword} cannot stand with fast_pattern:only")
    return content, test


def _distance(draft: Draft, argument: str, negated: bool) -> None:
    content, test = _relative(draft, "distance")
    if content.distance is not None:
        raise Refused("distance is there twice for one content")
    content.distance = _place(draft, argument, -FARTHEST)
    if content.negated:
        draft.relative(content, test)
    else:
        _not_behind_only(draft, content, test)


def _not_behind_only(draft: Draft, content: Content, test: BufferTest) -> None:
    """Distance alone gains nothing by another place of the match before: what is found behind a later one is behind this one too."""
    before = draft.before(content, test)
    if type(before) is Content:
        if before.only:
            raise Refused("a relative test cannot follow a content with fast_pattern:only")
    elif before is not None:
        before.next_relative = True


def _within(draft: Draft, argument: str, negated: bool) -> None:
    content, test = _relative(draft, "within")
    if content.within is not None:
        raise Refused("within is there twice for one content")
    content.within = _place(draft, argument, -FARTHEST)
    if type(content.within) is int and content.within < len(content.pattern):
        raise Refused(f"within {content.within} is less than the content's {len(content.pattern)} bytes")
    draft.relative(content, test)


def _startswith(draft: Draft, argument: str, negated: bool) -> None:
    content, _ = draft.last_content("startswith")
    if content.startswith:
        raise Refused("startswith is there twice for one content")
    if content.relative or content.offset is not None or content.depth is not None:
        raise Refused("startswith cannot stand with depth, offset, distance or within")
    content.startswith = True
    content.offset, content.depth = 0, len(content.pattern)


def _endswith(draft: Draft, argument: str, negated: bool) -> None:
    content, _ = draft.last_content("endswith")
    if content.endswith:
        raise Refused("endswith is there twice for one content")
    content.endswith = True


def _fast_pattern(draft: Draft, argument: str, negated: bool) -> None:
    content, _ = draft.last_content("fast_pattern")
    if content.negated and (content.relative or content.offset is not None or content.depth is not None):
        raise Refused("a negated content with offset, depth, distance or within cannot be the fast_pattern")
    if draft.base64:
        raise Refused("fast_pattern cannot be in base64_data")
    if any(type(m) is Content and m.fast_pattern for m, _ in draft.order):
        raise Refused("fast_pattern is there twice")
    content.fast_pattern = True
    word = argument.strip()
    if word == "only":
        if (
            content.negated
            or content.relative
            or content.next_relative
            or content.offset is not None
            or content.depth is not None
        ):
            raise Refused("fast_pattern:only cannot stand with negation, offset, depth, distance or within")
        content.only = True
    elif word:
        offset, comma, length = word.partition(",")
        if not comma:
            raise Refused(f'fast_pattern: "{word}" is neither only nor offset,length')
        chop = (integer(offset, 0, 65_535), integer(length, 1, 65_535))
        if sum(chop) > len(content.pattern):
            raise Refused(f"fast_pattern:{word} goes beyond the content's {len(content.pattern)} bytes")
        content.chop = chop


def _replace(draft: Draft, argument: str, negated: bool) -> None:
    raise Refused("replace changes packets that pass through Suricata; nothing passes through this sensor")


KEYWORDS: dict[str, Keyword] = {
    "content": Keyword(_content, quotes=NEEDED, negation=True),
    "uricontent": Keyword(_uricontent, quotes=NEEDED, negation=True),
    "nocase": Keyword(_nocase, NONE),
    "rawbytes": Keyword(_rawbytes, NONE),
    "offset": Keyword(_offset),
    "depth": Keyword(_depth),
    "distance": Keyword(_distance),
    "within": Keyword(_within),
    "startswith": Keyword(_startswith, NONE),
    "endswith": Keyword(_endswith, NONE),
    "fast_pattern": Keyword(_fast_pattern, OPTIONAL),
    "replace": Keyword(_replace, quotes=NEEDED),
}
