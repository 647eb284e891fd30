"""The question to the evaluator and its answer: may this new connection reach that socket, which rules decided, by which way.

Three verdicts, and no guess among them: where anything on the way cannot be decided, both ways are followed, and only if they agree is
the answer decided.
"""

from enum import StrEnum

from contracts.record import Record

SOURCE_PORT = 40000
"""Stands for a port that the kernel hands out to clients; rules about source ports see it."""


UNTRACED = "what decides there is a gap of the evaluator; please report it"
"""Stands in `Answer.unknown` where an uncertain answer would name nothing: so that none ever does, and that its tests fail by it."""

SOLICITATION = "nd-neighbor-solicit"
"""The protocol of a probe that is no connection: the question over IPv6 which link address `destination` has."""


class Probe(Record, frozen=True):
    """The first packet of a new connection: `source` and `destination` in canonical text, `protocol` tcp or udp (or `SOLICITATION`).

    `interface` is where it arrives; "" for one that this host itself sends. `family` is 4 or 6.
    """

    family: int
    protocol: str
    source: str
    destination: str
    port: int
    interface: str = ""
    source_port: int = SOURCE_PORT


class Verdict(StrEnum):
    """What becomes of the connection."""

    REACHABLE = "reachable"
    """The first packet is delivered and, for TCP, the answer to it gets out."""
    BLOCKED = "blocked"
    UNCERTAIN = "uncertain"


class Cause(Record, frozen=True):
    """What decided: a rule (`table`, `chain`, `handle`, `text` in its tool's own words), or something else on the way.

    `what` is rule, policy, routing, rp_filter, martian, forwarding, listener, or unknown; `text` says it in one line in any case.
    `handle` is 0 where the kernel gives none. `answer` marks what became of the answer, not of the first packet.
    """

    what: str
    text: str
    family: str = ""
    table: str = ""
    chain: str = ""
    handle: int = 0
    answer: bool = False


class Step(Record, frozen=True):
    """One step on the way: `hook` as nftables names it, `chain` as `FAMILY TABLE CHAIN`, `text` what happened there.

    `maybe` when it could not be decided whether the packet takes this step.
    """

    hook: str
    chain: str
    text: str
    handle: int = 0
    maybe: bool = False


class Answer(Record, frozen=True):
    """The verdict with its reasons. `causes` are what decided, in the order of the way; `unknown` names what could not be decided.

    `unknown` is never empty when the verdict is uncertain, and always when it is not.
    `destination`, `port` and `interface` are where the packet goes after address translation: the interface it leaves by when
    `forwarded`, else "".
    """

    verdict: Verdict
    causes: tuple[Cause, ...] = ()
    steps: tuple[Step, ...] = ()
    unknown: tuple[str, ...] = ()
    forwarded: bool = False
    destination: str = ""
    port: int = 0
    interface: str = ""
