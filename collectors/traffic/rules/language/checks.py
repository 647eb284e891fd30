"""What holds of a rule as a whole: the conditions under which Suricata would refuse it, too."""

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.rule import Absent, BufferTest, Content, FieldTest, FlagsTest, Rule

ONE_SIDED = {"ftp.reply_received": "to_client"}
"""Fields of transactions that Suricata looks at on one side only; a rule is then for that side, as it is by a buffer of one side."""
HASHES = frozenset({"ja3.hash", "ja3s.hash", "ssh.hassh", "ssh.hassh.server", "quic.cyu.hash"})


def check(draft: Draft) -> None:
    """Raise `Refused` when the options of a rule do not go together."""
    rule = draft.rule
    if not rule.sid:
        raise Refused("sid is missing")
    _direction(rule)
    _packets(rule)
    for test in rule.buffers:
        _buffer(test)
    if rule.action == "config" and not rule.config:
        raise Refused("a rule whose action is config needs config")


def _direction(rule: Rule) -> None:
    """A rule for one side cannot test what only the other side has; without a flow direction, its buffers give it one."""
    named = [(test.buffer, test.direction) for test in rule.buffers if test.direction != "both"]
    named += [
        (test.name, ONE_SIDED[test.name]) for test in rule.tests if type(test) is FieldTest and test.name in ONE_SIDED
    ]
    sides = {side for _, side in named}
    wanted = rule.flow.direction if rule.flow else ""
    if wanted and rule.direction != "=>" and sides - {wanted}:
        other = next(name for name, side in named if side != wanted)
        raise Refused(f"flow:{wanted} cannot stand with {other}, which is of the other side")
    if rule.direction == "=>":
        for test in rule.buffers:
            if test.direction == "both":
                raise Refused(
                    f"{test.buffer} is of both sides; a rule with => has to say whose (to_server or to_client)"
                )
    if not wanted and len(sides) > 1 and rule.direction != "=>":
        raise Refused("the rule tests what is of both sides; => makes it a rule about a whole transaction")


def _packets(rule: Rule) -> None:
    """Tests of single packets do not go together with transactions, or with a payload that has to be a stream's."""
    single = [test for test in rule.tests if _of_packet(test)]
    stream = rule.flow is not None and rule.flow.stream == "only_stream"
    if single and (stream or rule.protocol == "tcp-stream"):
        raise Refused("a test of single packets cannot stand with flow:only_stream or tcp-stream")
    dsize = next((test for test in single if type(test) is FieldTest and test.name == "dsize"), None)
    if dsize is not None and type(dsize) is FieldTest:
        _fits(rule, dsize)
    transactions = [test.buffer for test in rule.buffers if BUFFERS[test.buffer].protocol]
    if dsize is not None and transactions:
        raise Refused(f"dsize is about packets and {transactions[0]} about transactions")
    if rule.protocol in {"tcp-pkt", "tcp-stream"} and rule.app_protocol:
        raise Refused(f"{rule.protocol} cannot stand with keywords of {rule.app_protocol}")


def _fits(rule: Rule, dsize: FieldTest) -> None:
    """A payload of a given size has to have room for each content."""
    size = dsize.number
    most = {"=": size.low, "<": size.low - 1, "<=": size.low, "in": size.high - 1}.get(size.op)
    if most is None or rule.payload is None:
        return
    for match in rule.payload.matches:
        if type(match) is Content and not match.negated and len(match.pattern) > most:
            raise Refused(f"dsize leaves no room for a content of {len(match.pattern)} bytes")


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
    if buffer in HASHES:
        if len(pattern) != 32:
            raise Refused(f"{buffer} has 32 digits; this content has {len(pattern)} characters")
        content.pattern = pattern.lower()
    elif buffer == "tls.cert_fingerprint":
        if len(pattern) != 59:
            raise Refused(f"{buffer} has 59 characters with its colons; this content has {len(pattern)}")
        content.pattern = pattern.lower()
    elif buffer == "tls.cert_serial":
        if len(pattern) > 2 and b":" not in pattern:
            raise Refused(f"{buffer} has colons between its bytes; this content has none")
        content.pattern = pattern.upper()
    elif buffer == "http.host" and not content.nocase and pattern != pattern.lower():
        raise Refused("http.host is lower case; a content with capitals cannot be found in it")
    elif buffer == "http.method" and (pattern[:1] in {b" ", b"\t"} or pattern[-1:] in {b" ", b"\t"}):
        raise Refused("http.method has no blanks at its ends; this content cannot be found in it")
