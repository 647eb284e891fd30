"""Tests of a transaction beside its buffers: numbers, words and events of application protocols."""

from collections.abc import Callable

from collectors.traffic.protocols import names
from collectors.traffic.protocols.news import Transaction
from collectors.traffic.rules.engine.tests import Unsupported
from collectors.traffic.rules.language.enumerations import HTTP2_SETTINGS
from collectors.traffic.rules.language.numbers import number
from collectors.traffic.rules.language.rule import EventTest, FieldTest, Test, WordTest

TxCheck = Callable[[Transaction, bool, bool], bool]
"""Of a transaction, a side (to client), and whether the rule names that side."""

TLS_VERSIONS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}
SSL_VERSIONS = {"sslv2": 0x0002, "sslv3": 0x0300, **{f"tls{name}": number for name, number in TLS_VERSIONS.items()}}
SSL_STATES = {"client_hello": 1, "server_hello": 2, "client_keyx": 4, "server_keyx": 8, "unknown": 16}
AT_A_TIME = frozenset({"tls_cert_expired", "tls_cert_valid"})
"""Words about a transaction at the time of a packet."""
TimedCheck = Callable[[Transaction, bool, int], bool]
"""Of a transaction, a side (to client), and Unix seconds."""

_WORDS = frozenset(
    {
        "ftpdata_command",
        "tls.version",
        "ssl_version",
        "ssl_state",
        "ftpbounce",
        "ftp.reply_received",
        "tls_cert_notbefore",
        "tls_cert_notafter",
    }
)


def is_of_transaction(test: Test) -> bool:
    """Return whether a test is about transactions, not packets."""
    if isinstance(test, FieldTest):
        return test.name in names.INTEGERS or test.name in ("filesize", "file.size")
    if isinstance(test, EventTest):
        return test.layer == "app-layer"
    return isinstance(test, WordTest) and (test.name in _WORDS or test.name in names.INTEGERS)


def tx_check(test: Test) -> TxCheck:
    """Return the function of a test; raises `Unsupported`."""
    if isinstance(test, EventTest):
        return _event(test)
    if isinstance(test, FieldTest):
        return _field(test)
    if isinstance(test, WordTest):
        return _word(test)
    raise Unsupported(f"{getattr(test, 'name', type(test).__name__)} is not evaluated")


def timed_check(test: WordTest) -> TimedCheck:
    """Return the function of one of `AT_A_TIME`: a certificate is over, or is in force."""
    over = test.name == "tls_cert_expired"

    def certificate(transaction: Transaction, to_client: bool, now_s: int) -> bool:
        ends = transaction.integers("tls_cert_notafter", to_client)
        if over:
            return any(end < now_s for end in ends)
        begins = transaction.integers("tls_cert_notbefore", to_client)
        return any(begin < now_s < end for begin, end in zip(begins, ends, strict=False))

    return certificate


def _event(test: EventTest) -> TxCheck:
    name = test.name.partition(".")[2]

    def event(transaction: Transaction, to_client: bool, named: bool) -> bool:
        side = transaction.event_sides.get(name)
        return side is not None and (named or side == to_client)

    return event


def _field(test: FieldTest) -> TxCheck:
    name, holds = test.name, test.number.holds
    if name in ("filesize", "file.size"):
        return lambda transaction, to_client, _named: any(
            holds(file.size) for file in transaction.files if file.to_client == to_client and file.closed
        )
    index = test.index
    sides = names.INTEGERS[name][1]

    def field(transaction: Transaction, to_client: bool, _named: bool) -> bool:
        if not sides & (names.CLIENT if to_client else names.SERVER):
            return False
        values = transaction.integers(name, to_client)
        if index in ("", "any"):
            return any(holds(value) for value in values)
        if index == "all":
            return bool(values) and all(holds(value) for value in values)
        place = int(index) if index.lstrip("-").isdigit() else 0
        return -len(values) <= place < len(values) and holds(values[place])

    return field


def _word(test: WordTest) -> TxCheck:
    name, negated = test.name, test.negated
    if name in ("tls.version", "ssl_version"):
        table = TLS_VERSIONS if name == "tls.version" else SSL_VERSIONS
        wanted = {table[word] if word in table else int(word, 16) for word in test.words}
        return lambda transaction, to_client, _named: any(
            (value in wanted) != negated for value in transaction.integers(name, to_client)
        )
    if name == "ssl_state":
        return _ssl_state(test)
    if name == "ftp.reply_received":
        want = 1 if test.words and test.words[0] in ("yes", "true", "1", "on") else 0
        # Suricata asks when the server has spoken: an answer is there by then.
        return lambda transaction, to_client, _named: to_client and want in transaction.integers(name, True)
    if name == "ftpdata_command":
        # The command was said on another connection: what it asked for is told of both sides of this one.
        words = {word.encode() for word in test.words}
        return lambda transaction, to_client, _named: any(
            value in words
            for side in (to_client, not to_client)
            for value in transaction.buffers("ftpdata_command", side)
        )
    if name == "http2.settings":
        return _setting(test)
    if name == "ftpbounce":
        return lambda transaction, to_client, _named: any(transaction.integers(name, to_client))
    raise Unsupported(f"{name} is not evaluated")


def _setting(test: WordTest) -> TxCheck:
    """Return the function of `http2.settings`: a setting was sent, with a value as the rule asks."""
    setting, comparison = HTTP2_SETTINGS[test.words[0]], test.words[1]
    holds = number(comparison).holds if comparison else None

    def sent(transaction: Transaction, to_client: bool, _named: bool) -> bool:
        values = [value for value in transaction.integers("http2.settings", to_client) if value >> 32 == setting]
        return bool(values) if holds is None else any(holds(value & 0xFFFFFFFF) for value in values)

    return sent


def _ssl_state(test: WordTest) -> TxCheck:
    """Return the function of `ssl_state`: any of these states has been reached."""
    wanted = unwanted = 0
    for word in test.words:
        bit = SSL_STATES[word.removeprefix("!")]
        if word.startswith("!"):
            unwanted |= bit
        else:
            wanted |= bit

    def state(transaction: Transaction, to_client: bool, _named: bool) -> bool:
        value = 0
        for one in transaction.integers("ssl_state", to_client):
            value |= one
        return (bool(value & wanted) if wanted else True) and not value & unwanted

    return state
