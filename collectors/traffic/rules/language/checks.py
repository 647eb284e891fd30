"""What holds of a rule as a whole: the conditions under which Suricata would refuse it, too."""

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Absent, BufferTest, Content, FieldTest, FlagsTest, Rule


def check(draft: Draft) -> None:
    """Raise `Refused` when the options of a rule do not go together."""
    rule = draft.rule
    if not rule.sid:
        raise Refused("sid is missing")
    for keyword in draft.limits:
        from collectors.traffic.rules.language.keywords import KEYWORDS

        if keyword not in KEYWORDS:
            raise Refused(f'requires: the keyword "{keyword}" is not known here')
    _direction(rule)
    _packets(rule)
    for test in rule.buffers:
        _buffer(test)
    if rule.action == "config" and not rule.config:
        raise Refused("a rule whose action is config needs config")


def _direction(rule: Rule) -> None:
    """A rule for one side cannot test what only the other side has; without a flow direction, its buffers give it one."""
    sides = {test.direction for test in rule.buffers} - {"both"}
    wanted = rule.flow.direction if rule.flow else ""
    if wanted and rule.direction != "=>" and sides - {wanted}:
        other = next(test.buffer for test in rule.buffers if test.direction not in {"both", wanted})
        raise Refused(f"flow:{wanted} cannot stand with {other}, which is of the other side")
    if not wanted and len(sides) > 1 and rule.direction != "=>":
        raise Refused("the rule tests buffers of both sides; => makes it a rule about a whole transaction")


def _packets(rule: Rule) -> None:
    """Tests of single packets do not go together with transactions, or with a payload that has to be a stream's."""
    single = [test for test in rule.tests if _of_packet(test)]
    stream = rule.flow is not None and rule.flow.stream == "only_stream"
    if single and (stream or rule.protocol == "tcp-stream"):
        raise Refused("a test of single packets cannot stand with flow:only_stream or tcp-stream")
    dsize = any(type(test) is FieldTest and test.name == "dsize" for test in single)
    transactions = [test.buffer for test in rule.buffers if BUFFERS[test.buffer].protocol]
    if dsize and transactions:
        raise Refused(f"dsize is about packets and {transactions[0]} about transactions")
    if rule.protocol in {"tcp-pkt", "tcp-stream"} and rule.app_protocol:
        raise Refused(f"{rule.protocol} cannot stand with keywords of {rule.app_protocol}")


def _of_packet(test: object) -> bool:
    return (type(test) is FieldTest and test.name in {"dsize", "tcp.seq", "tcp.ack", "tcp.window", "tcp.mss"}) or (
        type(test) is FlagsTest
    )


def _buffer(test: BufferTest) -> None:
    absent = [match for match in test.matches if type(match) is Absent]
    if absent and not absent[0].or_else and len(test.matches) > 1:
        raise Refused(f"absent says that there is no {test.buffer}; nothing else of it can be tested")
    if test.transforms:
        return
    for match in test.matches:
        if type(match) is Content:
            _content(test.buffer, match)


def _content(buffer: str, content: Content) -> None:
    pattern = content.pattern
    if buffer == "http.host" and pattern != pattern.lower():
        raise Refused("http.host is lower case; a content with capitals cannot be found in it")
    if buffer == "http.method" and (pattern[:1].isspace() or pattern[-1:].isspace()):
        raise Refused("http.method has no blanks at its ends; this content cannot be found in it")
    if buffer == "http.user_agent" and pattern.endswith((b"\r", b"\n")):
        raise Refused("http.user_agent has no line end; this content cannot be found in it")
    if buffer in {"ja3.hash", "ja3s.hash"} and len(pattern) > 32:
        raise Refused(f"{buffer} has 32 digits; this content has {len(pattern)}")
