"""Which parser a protocol has."""

from typing import Final

from collectors.traffic.protocols.dns import DnsParser, MdnsParser
from collectors.traffic.protocols.ftp import FtpDataParser, FtpParser
from collectors.traffic.protocols.http.parser import HttpParser
from collectors.traffic.protocols.http2.parser import Http2Parser
from collectors.traffic.protocols.mail.smtp import SmtpParser
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Parser, Recognised
from collectors.traffic.protocols.ssh import SshParser
from collectors.traffic.protocols.tls.parser import TlsParser

_PARSERS: Final[dict[str, type[Parser]]] = {
    "http": HttpParser,
    "http2": Http2Parser,
    "dns": DnsParser,
    "mdns": MdnsParser,
    "tls": TlsParser,
    "ssh": SshParser,
    "smtp": SmtpParser,
    "ftp": FtpParser,
    "ftp-data": FtpDataParser,
}


def parser_of(name: str, conversation: Conversation, facts: Facts, limits: Limits) -> Parser:
    """Make the parser of a protocol for one flow; protocols that are only recognised leave their bytes to rules on the stream."""
    made = _PARSERS.get(name, Recognised)(conversation, facts, limits)
    made.protocol = name
    return made
