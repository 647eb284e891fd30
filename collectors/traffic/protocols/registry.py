"""Which parser a protocol has."""

from collectors.traffic.protocols.http.parser import HttpParser
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Parser, Recognised

_PARSERS: dict[str, type[Parser]] = {"http": HttpParser}


def parser_of(name: str, conversation: Conversation, facts: Facts, limits: Limits) -> Parser:
    """Make the parser of a protocol for one flow; protocols that are only recognised leave their bytes to rules on the stream."""
    made = _PARSERS.get(name, Recognised)(conversation, facts, limits)
    made.protocol = name
    return made
