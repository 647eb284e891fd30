"""Steps for contents: find the bytes, try what follows, and go on to the next place where that may help.

The order of the tests and what ends them is that of Suricata's content inspection: a content whose place does not depend on the match
before fails for good; one that a later test depends on is tried at all its places.
"""

from collectors.traffic.rules.language.rule import Content, Where
from collectors.traffic.rules.matching.state import NEVER, NO, YES, Scan, Step

HIGHEST = 0xFFFFFFFF


def content_step(content: Content, then: Step | None) -> Step:
    """Return the step of one content; `then` is what follows it, None for nothing."""
    if content.relative or content.negated or _variable(content):
        return _general(content, then)
    if content.endswith:
        return _at_end(content, then)
    return _absolute(content, then)


def _variable(content: Content) -> bool:
    return isinstance(content.offset, str) or isinstance(content.depth, str)


def _named(content: Content) -> bool:
    """Return whether a relative place is given by a variable."""
    return isinstance(content.distance, str) or isinstance(content.within, str)


def _absolute(content: Content, then: Step | None) -> Step:
    pattern = content.pattern.lower() if content.nocase else content.pattern
    nocase, again = content.nocase, content.next_relative
    length = len(pattern)
    offset = content.offset if isinstance(content.offset, int) else 0
    depth = content.depth if isinstance(content.depth, int) else None

    def step(scan: Scan) -> int:
        end = scan.size
        if depth is not None:
            if scan.begin:
                if depth <= scan.begin:
                    return NO
                end = min(end, depth - scan.begin if depth < scan.begin + end else depth)
            elif depth < end:
                end = depth
        data = scan.lower() if nocase else scan.data
        at = data.find(pattern, offset, end)
        while at >= 0:
            scan.steps -= 1
            if scan.steps <= 0:
                return NEVER
            scan.pos = at + length
            found = then(scan) if then is not None else YES
            if found != NO:
                return found
            if not again:
                return NEVER
            at = data.find(pattern, at + 1, end)
        return NEVER

    return step


def _at_end(content: Content, then: Step | None) -> Step:
    pattern = content.pattern.lower() if content.nocase else content.pattern
    nocase, length = content.nocase, len(pattern)
    offset = content.offset if isinstance(content.offset, int) else 0
    depth = content.depth if isinstance(content.depth, int) else HIGHEST

    def step(scan: Scan) -> int:
        scan.steps -= 1
        data = scan.lower() if nocase else scan.data
        if scan.size - length < offset or depth - scan.begin < scan.size or not data.endswith(pattern):
            return NEVER
        if scan.steps <= 0:
            return NEVER
        scan.pos = scan.size
        return YES if then is None else then(scan) or NEVER

    return step


def _number(scan: Scan, where: Where) -> int:
    if type(where) is int:
        return where
    return scan.state.values.get(str(where), 0)


def _window(content: Content, scan: Scan, before: int) -> tuple[int, int] | None:
    """Return from where to where the content may stand, or None when the chunk of the buffer is behind its depth."""
    size, depth, offset = scan.size, scan.size, 0
    if content.relative:
        offset, distance = before, 0
        if content.distance is not None:
            distance = _number(scan, content.distance)
            offset = max(offset + distance, 0)
        if content.within is not None:
            depth = min(depth, before + _number(scan, content.within) + distance)
            if scan.begin and before == 0:
                if depth <= scan.begin:
                    return None
                if depth < scan.begin + size:
                    depth -= scan.begin
    else:
        if content.depth is not None:
            depth = _number(scan, content.depth)
            if scan.begin and not isinstance(content.depth, str):
                if depth <= scan.begin:
                    return None
                if depth < scan.begin + size:
                    depth -= scan.begin
        offset = _number(scan, content.offset) if content.offset is not None else 0
        if _variable(content):
            depth += offset
    return offset, min(depth, size)


def _general(content: Content, then: Step | None) -> Step:
    pattern = content.pattern.lower() if content.nocase else content.pattern
    length = len(pattern)
    if content.negated:
        return _without(content, pattern, then)
    relative, again, ends = content.relative, content.next_relative, content.endswith
    nocase, plain = content.nocase, relative and not _named(content)
    distance = content.distance if isinstance(content.distance, int) else 0
    reach = content.within + distance if isinstance(content.within, int) else HIGHEST

    def step(scan: Scan) -> int:
        if plain and not scan.begin:
            at, depth = max(scan.pos + distance, 0), min(scan.pos + reach, scan.size)
        else:
            window = _window(content, scan, scan.pos)
            if window is None:
                return NO
            at, depth = window
        if at > depth or depth <= 0:
            return NO
        data = scan.lower() if nocase else scan.data
        if ends and depth < scan.size:
            return NO if relative else NEVER
        if ends:
            at = max(at, scan.size - length)
        at = data.find(pattern, at, depth)
        while at >= 0:
            scan.steps -= 1
            if scan.steps <= 0:
                return NEVER
            scan.pos = at + length
            if then is None:
                return YES
            found = then(scan)
            if found != NO:
                return found
            if not again:
                return NEVER
            at = data.find(pattern, at + 1, depth)
        return NO if relative else NEVER

    return step


def _without(content: Content, pattern: bytes, then: Step | None) -> Step:
    """Return the step of a negated content: what follows is tried where the bytes are not there."""
    relative = content.relative or _variable(content) or content.offset is not None or content.depth is not None
    nocase, ends, length = content.nocase, content.endswith, len(pattern)

    def step(scan: Scan) -> int:
        scan.steps -= 1
        if scan.steps <= 0:
            return NEVER
        window = _window(content, scan, scan.pos)
        if window is None:
            return NO
        at, depth = window
        if at <= depth and depth > 0 and not (ends and depth < scan.size):
            found = (scan.lower() if nocase else scan.data).find(pattern, at, depth)
            # As in Suricata, only the first place counts for a negated content that has to stand at the end.
            if found >= 0 and not (ends and found + length != depth - at):
                return NO if relative or content.next_relative else NEVER
        return YES if then is None else then(scan)

    return step
