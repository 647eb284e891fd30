"""A rule while it is being read: which buffer is active, what the last content was, and where the next test belongs."""

from collectors.traffic.rules.language.buffers import BUFFERS, Buffer
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.protocols import compatible
from collectors.traffic.rules.language.rule import Base64Decode, BufferTest, Content, Match, Pcre, Rule, Transform

PAYLOAD = "payload"


class Draft:
    """Collects the options of one rule, in their order, into `rule`."""

    __slots__ = (
        "active",
        "base64",
        "fresh",
        "order",
        "rule",
        "seen",
        "sticky",
        "transformed",
        "variables",
        "wanted",
        "warnings",
    )

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.active: BufferTest | None = None
        self.sticky = ""
        self.fresh = False
        self.transformed = False
        self.base64 = False
        self.order: list[tuple[Match, BufferTest]] = []
        self.variables: set[str] = set()
        self.seen: set[str] = set()
        self.wanted: set[str] = set()
        self.warnings: list[str] = []

    def once(self, keyword: str) -> None:
        """Refuse a keyword that stands in the rule a second time."""
        if keyword in self.seen:
            raise Refused(f"{keyword} is there twice")
        self.seen.add(keyword)

    def protocol(self, protocol: str, keyword: str) -> None:
        """Note that a keyword belongs to an application protocol."""
        if not protocol:
            return
        found = compatible(self.rule.app_protocol, protocol)
        if found is None:
            raise Refused(f"{keyword} is for {protocol}, but the rule is for {self.rule.app_protocol}")
        self.rule.app_protocol = found

    def stick(self, buffer: Buffer, side: str = "") -> None:
        """Make a sticky buffer the active one, if `side` is given that side's."""
        self._close()
        self.transformed = False
        self.protocol(buffer.protocol, buffer.name)
        if buffer.name == PAYLOAD:
            self.active, self.sticky = None, ""
            return
        self.sticky, self.fresh = buffer.name, True
        self.active = BufferTest(buffer.name, side or buffer.direction)

    def unstick(self) -> None:
        """End a sticky buffer; what follows is about the payload again."""
        self._close()
        if self.sticky and self.fresh:
            raise Refused(f"nothing is tested of {self.sticky}")
        self.active, self.sticky, self.fresh, self.transformed = None, "", False, False

    def stick_base64(self) -> None:
        """Make what `base64_decode` yields the active buffer, to the end of the rule."""
        self._close()
        self.base64 = True
        if self.rule.base64 is None:
            self.rule.base64 = BufferTest("base64_data")
        self.active, self.sticky, self.fresh = self.rule.base64, "base64_data", False

    def _close(self) -> None:
        if self.base64:
            raise Refused("no other buffer can follow base64_data")
        if self.sticky and self.active is not None and not self.active.matches and self.sticky != "base64_data":
            raise Refused(f"nothing is tested of {self.sticky}")

    def transform(self, transform: Transform) -> None:
        """Add a transform to the active sticky buffer."""
        if not self.sticky or self.base64:
            raise Refused(f"{transform.name} has no sticky buffer before it")
        if self.transformed or self.active is None:
            raise Refused(f"{transform.name} stands directly behind a sticky buffer")
        if not self.fresh:
            # As in Suricata, what was tested so far is of the buffer as it is, and what follows of the transformed one.
            self.active, self.fresh = BufferTest(self.active.buffer, self.active.direction), True
        self.active.transforms = (*self.active.transforms, transform)

    def place(self) -> BufferTest:
        """Return the buffer test that the next match belongs to."""
        active = self.active
        if active is None:
            if self.rule.payload is None:
                self.rule.payload = BufferTest(PAYLOAD)
            return self.rule.payload
        if self.fresh:
            self.fresh, self.transformed = False, bool(active.transforms)
            self.active = active = self._join(active)
        return active

    def _join(self, test: BufferTest) -> BufferTest:
        """Return the test of the same buffer that is there already, unless each stands by itself, or `test` as a new one."""
        if not BUFFERS[test.buffer].several and not test.transforms:
            for known in self.rule.buffers:
                if known.buffer == test.buffer and known.direction == test.direction and not known.transforms:
                    return known
        self.rule.buffers.append(test)
        return test

    def add(self, match: Match) -> BufferTest:
        """Add a match to the active buffer."""
        test = self.place()
        test.matches.append(match)
        self.order.append((match, test))
        return test

    def add_relative(self, match: Match) -> BufferTest:
        """Add a match that is relative: without a sticky buffer, to the buffer of the content or expression before it, as Suricata does."""
        if self.active is None:
            for other, test in reversed(self.order):
                if type(other) is not Base64Decode and test is not self.rule.base64:
                    test.matches.append(match)
                    self.order.append((match, test))
                    return test
        return self.add(match)

    def last_content(self, keyword: str) -> tuple[Content, BufferTest]:
        """Return the content that a modifier is for: the last one of the active buffer."""
        for match, test in reversed(self.order):
            if type(match) is Content and (self.active is None or test is self.active):
                return match, test
        raise Refused(f"{keyword} has no content before it")

    def before(self, match: Match, test: BufferTest) -> Content | Pcre | None:
        """Return the content or pcre that a relative match follows in its buffer."""
        at = next(i for i, other in enumerate(test.matches) if other is match)
        for other in reversed(test.matches[:at]):
            if type(other) is Content or type(other) is Pcre:
                return other
        return None

    def relative(self, match: Match, test: BufferTest) -> None:
        """Note that the match before has to offer its other places to `match`."""
        before = self.before(match, test)
        if before is None:
            return
        if type(before) is Content and before.only:
            raise Refused("a relative test cannot follow a content with fast_pattern:only")
        before.next_relative = True

    def move(self, content: Content, test: BufferTest, buffer: Buffer, side: str = "") -> None:
        """Give a content of the payload to another buffer, as the old modifiers do."""
        self.protocol(buffer.protocol, buffer.name)
        at = next(i for i, other in enumerate(test.matches) if other is content)
        del test.matches[at]
        if not test.matches and self.rule.payload is test:
            self.rule.payload = None
        into = self.modified(buffer, side)
        into.matches.append(content)
        for i, (match, _) in enumerate(self.order):
            if match is content:
                self.order[i] = (content, into)
        if content.relative:
            self.relative(content, into)

    def modified(self, buffer: Buffer, side: str = "") -> BufferTest:
        """Return the test that contents with an old modifier for `buffer` share."""
        for known in self.rule.buffers:
            if known.buffer == buffer.name and not known.transforms:
                return known
        fresh = BufferTest(buffer.name, side or buffer.direction)
        self.rule.buffers.append(fresh)
        return fresh

    def finish(self) -> None:
        """Check that the last buffer was not left empty."""
        if self.sticky and self.active is not None and not self.active.matches:
            raise Refused(f"nothing is tested of {self.sticky}")
