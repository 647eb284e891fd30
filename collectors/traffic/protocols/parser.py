"""What a protocol's parser is: an object per flow that takes both sides' bytes and tells which transactions they changed."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from collectors.traffic.protocols.account import Meter
from collectors.traffic.protocols.news import Conversation, Fields, Transaction

MAX_TRANSACTIONS: Final = 512
"""Transactions of one conversation that may be open at once (Suricata's stock `max-tx`)."""
EACH: Final = 3_000
"""Bytes that a transaction takes, about."""
MOST_SPARED: Final = 1
"""Open transactions that a conversation goes on with when it has to give something up; older ones are ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the parsers; the stock values of Suricata's configuration."""

    request_body: int = 102_400
    response_body: int = 102_400
    request_inspect: int = 32_768
    response_inspect: int = 40_000
    """Bodies are not looked at before so many bytes are there, or the body is whole."""
    inspect_window: int = 16_384
    """And not again before so many more have come."""
    layers: int = 2
    """Content encodings one inside the other."""
    bomb_bytes: int = 1_048_576
    bomb_ratio: int = 2048
    file_bytes: int = 1_048_576
    """How much of a file is kept for `file.data` in mail and FTP."""
    inline: bool = False
    """Packets are held until the verdict (`--simulate-ips`): bodies are looked at as they come."""
    hash_files: tuple[str, ...] = ()
    """Digests of files to compute (md5, sha1, sha256): those that some rule asks for."""
    memory: int = 67_108_864
    """How much is kept of what has not ended, of all conversations together (`account`)."""
    meter: Meter = field(default_factory=Meter)


class Facts(NamedTuple):
    """What a parser may know of its flow: ports, addresses (their two halves), whether datagrams."""

    client_port: int
    server_port: int
    client: tuple[int, int]
    server: tuple[int, int]
    datagrams: bool
    family: int = 4


Expected = tuple[tuple[int, int], int, str, tuple[bool, bytes]]
"""A flow to come: address and port of one end, its protocol, and what its parser is told (`Parser.expectation`)."""


class Parser:
    """One flow's parser. `touched` collects the transactions that changed, in order; whoever feeds empties it."""

    protocol = ""

    def __init__(self, conversation: Conversation, facts: Facts, limits: Limits) -> None:
        self.conversation = conversation
        self.facts = facts
        self.limits = limits
        self.touched: list[Transaction] = []
        self.count = 0
        self.next_protocol = ""
        """Set when what follows is another protocol: its name, or "?" to detect anew ("tls" is expected, not believed)."""
        self.rest = b""
        """The bytes behind that change that came with it, of the same side."""
        self.renamed = ""
        """Set when the conversation turns out to be another protocol than it was called, which this parser reads, too."""
        self.expected: list[Expected] = []
        """Flows to come (FTP's data connections)."""
        self.expectation: tuple[bool, bytes] | None = None
        """What the connection that announced this one said of it: whether it brings a file to the client, and the file's name."""

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Take bytes of one side; `gap` bytes just before them are missing."""
        raise NotImplementedError

    def end(self, to_client: bool) -> None:
        """Hear that one side says no more."""

    def take_over(self, former: "Parser") -> None:
        """Hear who read the conversation until it changed to this protocol."""

    def release(self) -> None:
        """Let go of what refers back to this parser: its flow is over, and its memory is free at once."""

    def held(self) -> int:
        """Return about how much memory is taken by what has not ended; what every conversation needs is left out."""
        size = self.unread()
        first = 0
        for transaction in self.conversation.transactions:
            # What is done goes when rules have seen it.
            if not transaction.done:
                size += transaction.held()
                first = first or transaction.overhead
        return size - first

    def unread(self) -> int:
        """Return how many bytes wait for those behind them."""
        return 0

    def shrink(self) -> None:
        """Take little memory until more comes: nothing is lost."""
        for transaction in self.conversation.transactions:
            transaction.shrink()

    def stop(self) -> list[tuple[Transaction, bool]]:
        """Let rules see what is there, and keep no more of it; returns which sides (to client) of which transactions that are.

        None: there is nothing that the conversation could do without and still be read.
        """
        transactions = self.conversation.transactions
        return [(one, to_client) for one in transactions for to_client in (False, True) if one.stop(to_client)]

    def drop(self) -> None:
        """Forget what was stopped: rules have seen it."""
        for transaction in self.conversation.transactions:
            transaction.drop()

    def touch(self, transaction: Transaction) -> None:
        """Note that a transaction changed."""
        if not self.touched or self.touched[-1] is not transaction:
            self.touched.append(transaction)

    def open(self, transaction: Transaction) -> None:
        """Add a transaction to the conversation."""
        self.count += 1
        self.conversation.transactions.append(transaction)
        self.limits.meter.grown += EACH

    def fields(self) -> Fields:
        """Begin a transaction with plain buffers."""
        transaction = Fields(self.count, self.protocol)
        self.open(transaction)
        return transaction


class Recognised(Parser):
    """A protocol that is known by name only: rules look at its stream."""

    def data(self, to_client: bool, data: bytes, gap: int) -> None:
        """Leave the bytes to the rules on the stream."""
