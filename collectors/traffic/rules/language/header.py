"""The header of a rule: action, protocol, who to whom."""

from typing import NamedTuple

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.protocols import (
    ALIASES,
    ANY_HOOKS,
    APPLICATION,
    HOOKS,
    KNOWN,
    PACKET_ONLY,
    TRANSPORT_HOOKS,
)
from collectors.traffic.rules.language.rule import Addresses, Ports
from collectors.traffic.rules.language.variables import Variables

ACTIONS = frozenset({"alert", "drop", "reject", "rejectsrc", "rejectdst", "rejectboth", "pass", "config"})
DIRECTIONS = frozenset({"->", "<>", "=>"})


class Header(NamedTuple):
    """What stands before the options."""

    action: str
    protocol: str
    hook: str
    source: Addresses
    source_ports: Ports
    direction: str
    destination: Addresses
    destination_ports: Ports


class Headers:
    """Reads headers; equal ones (most of a large ruleset) are read once and share their sets."""

    __slots__ = ("_addresses", "_headers", "_ports", "_variables")

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._headers: dict[str, Header] = {}
        self._addresses: dict[str, Addresses] = {}
        self._ports: dict[str, Ports] = {}

    def read(self, text: str) -> Header:
        """Return the header, or raise `Refused`."""
        found = self._headers.get(text)
        if found is None:
            found = self._headers[text] = self._parse(_words(text))
        return found

    def _parse(self, words: list[str]) -> Header:
        if len(words) != 7:
            raise Refused(
                f"the header has {len(words)} words instead of 7 (action, protocol, source, port, direction, destination, port)"
            )
        action, protocol, source, source_port, direction, destination, destination_port = words
        if action not in ACTIONS:
            raise Refused(f'"{action}" is not an action; use one of {", ".join(sorted(ACTIONS))}')
        if direction not in DIRECTIONS:
            raise Refused(f'"{direction}" is not a direction; use -> or <> or =>')
        name, hook = _protocol(protocol)
        if direction == "=>" and name not in APPLICATION:
            raise Refused(f'"=>" looks at transactions, and {name} has none')
        if name in {"ether", "arp", "pkthdr"} and (source, destination) != ("any", "any"):
            raise Refused(f"{name} has no addresses to compare with; write any")
        return Header(
            action,
            name,
            hook,
            self._address(source),
            self._port(source_port),
            direction,
            self._address(destination),
            self._port(destination_port),
        )

    def _address(self, text: str) -> Addresses:
        found = self._addresses.get(text)
        if found is None:
            found = self._addresses[text] = addresses(text, self._variables.addresses)
        return found

    def _port(self, text: str) -> Ports:
        found = self._ports.get(text)
        if found is None:
            found = self._ports[text] = ports(text, self._variables.ports)
        return found


def _protocol(text: str) -> tuple[str, str]:
    name, _, hook = text.lower().partition(":")
    if name not in KNOWN:
        raise Refused(f'"{name}" is not a protocol that rules can name')
    name = ALIASES.get(name, name)
    if ":" not in text:
        return name, ""
    if name in APPLICATION:
        valid = HOOKS.get(name, frozenset()) | ANY_HOOKS
    else:
        valid = frozenset() if name in PACKET_ONLY else TRANSPORT_HOOKS
    if hook not in valid:
        known = f"; they are {', '.join(sorted(valid))}" if valid else ", which has none"
        raise Refused(f'"{hook}" is not a hook of {name}{known}')
    return name, hook


def _words(text: str) -> list[str]:
    """Return the words; blanks inside brackets belong to the word."""
    if "[" not in text:
        return text.split()
    words: list[str] = []
    level = 0
    for part in text.split():
        if level > 0:
            words[-1] += part
        else:
            words.append(part)
        level += part.count("[") - part.count("]")
    return words
