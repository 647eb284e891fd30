"""What an admin writes in `ports.expected`, read strictly: `PROTOCOL/[ADDRESS:]PORT[-PORT][@INTERFACE][=PROGRAM]`.

`tcp/22`, `tcp/127.0.0.1:5432`, `tcp/[::1]:8080`, `tcp/8000-8010`, `udp/68@eth0`, `tcp/22=sshd`, `tcp/443=/usr/sbin/nginx`. Without an
address any address will do, without an interface any interface, without a program any. The program is the file that runs: what a process
calls itself does not count.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from collectors.ports.owners import Owner
from contracts.host import Socket
from contracts.record import Record

PROTOCOLS = ("tcp", "udp", "sctp", "udplite", "dccp")

_SHAPE = re.compile(
    r"""(?P<protocol>[^/]*)/
        (?:(?P<address>\[[^\]]*\]|[^\[\]:@=]*):)?
        (?P<first>[^-:@=\[\]]*)(?:-(?P<last>[^-:@=\[\]]*))?
        (?:@(?P<interface>[^=]*))?
        (?:=(?P<process>.*))?""",
    re.VERBOSE | re.DOTALL,
)
_INTERFACE = re.compile(r"[^\s/:@=]{1,15}")
_FORM = "write it like tcp/22, tcp/127.0.0.1:5432, tcp/[::1]:8080, tcp/8000-8010, udp/68@eth0 or tcp/22=sshd"


class Expectation(Record):
    """One entry: ports `first` to `last`; empty fields mean any. `address` is in canonical text."""

    protocol: str
    first: int
    last: int
    address: str = ""
    interface: str = ""
    process: str = ""

    def __str__(self) -> str:
        address = f"[{self.address}]:" if ":" in self.address else f"{self.address}:" if self.address else ""
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        interface = f"@{self.interface}" if self.interface else ""
        return f"{self.protocol}/{address}{ports}{interface}{f'={self.process}' if self.process else ''}"


def parse(text: str) -> Expectation:
    """Return the expectation that `text` states; raises `ValueError` with what was found and what would do."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is no port; {_FORM}')
    if match["protocol"] not in PROTOCOLS:
        raise ValueError(f'"{text}": "{match["protocol"]}" is not one of {", ".join(PROTOCOLS)}; {_FORM}')
    first = _port(text, match["first"])
    last = first if match["last"] is None else _port(text, match["last"])
    if last < first:
        raise ValueError(f'"{text}": the range ends at {last}, before it begins at {first}; write {last}-{first}')
    return Expectation(
        protocol=match["protocol"],
        first=first,
        last=last,
        address=_address(text, match["address"]),
        interface=_interface(text, match["interface"]),
        process=_process(text, match["process"]),
    )


class Expectations:
    """All entries together, quick to ask."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._single: dict[tuple[str, int], list[Expectation]] = {}
        self._ranges: list[Expectation] = []
        for entry in map(parse, entries):
            if entry.first == entry.last:
                self._single.setdefault((entry.protocol, entry.first), []).append(entry)
            else:
                self._ranges.append(entry)

    def __bool__(self) -> bool:
        return bool(self._single or self._ranges)

    def allow(self, socket: Socket, owner: Owner) -> bool:
        """Say whether any entry names the place of `socket` and its `owner`."""
        return any(
            _names(entry, socket, owner) for entry in self._single.get((socket.protocol, socket.port), ())
        ) or any(
            entry.protocol == socket.protocol
            and entry.first <= socket.port <= entry.last
            and _names(entry, socket, owner)
            for entry in self._ranges
        )


def _names(entry: Expectation, socket: Socket, owner: Owner) -> bool:
    return (
        entry.address in ("", socket.address)
        and entry.interface in ("", socket.interface)
        and (not entry.process or owner.is_run_by(entry.process))
    )


def _port(text: str, digits: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", digits) or not 1 <= int(digits) <= 65535:
        raise ValueError(f'"{text}": "{digits}" is not a port from 1 to 65535; {_FORM}')
    return int(digits)


def _address(text: str, address: str | None) -> str:
    if address is None or address == "*":
        return ""
    is_bracketed = address.startswith("[")
    try:
        found = ip_address(address.strip("[]"))
    except ValueError as error:
        raise ValueError(f'"{text}": "{address}" is no IP address; {_FORM}') from error
    if is_bracketed != (found.version == 6) or "%" in address:
        raise ValueError(f'"{text}": write an IPv6 address in brackets, an IPv4 address without, the interface after @')
    if found.version == 6 and found.ipv4_mapped:
        return f"::ffff:{found.ipv4_mapped}"
    return str(found)


def _interface(text: str, interface: str | None) -> str:
    if interface is not None and not _INTERFACE.fullmatch(interface):
        raise ValueError(f'"{text}": "{interface}" is no name of an interface; {_FORM}')
    return interface or ""


def _process(text: str, process: str | None) -> str:
    if process is not None and (not process.strip() or ("/" in process and not process.startswith("/"))):
        raise ValueError(f'"{text}": after = comes the name of a program (sshd) or its absolute path; {_FORM}')
    return process or ""
