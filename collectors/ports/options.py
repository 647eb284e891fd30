"""The settings of the ports collector and its watcher."""

from typing import Annotated

from msgspec import Meta

from collectors.ports.expected import parse
from contracts.options import CollectorOptions, Duration


class Options(CollectorOptions):
    """Settings of the ports collector and watcher."""

    expected: Annotated[
        list[str],
        Meta(
            description="Ports that may be open: PROTOCOL/[ADDRESS:]PORT[-PORT][@INTERFACE][=PROGRAM]. "
            "PROGRAM is the name of the file that runs, or its path; what a process calls itself does not count. "
            "Whatever else listens is unexpected. Empty: nothing is judged by this list.",
            examples=[["tcp/22=sshd", "tcp/127.0.0.1:5432", "tcp/[::1]:8080", "tcp/8000-8010", "udp/68@eth0"]],
        ),
    ] = []
    ignore_ephemeral_udp: Annotated[
        bool,
        Meta(
            description="Take UDP sockets on the ports that the kernel hands out to clients for clients: they are listed and count "
            "as expected, and only one that stays is reported, with low severity.",
        ),
    ] = True
    ephemeral_udp_grace: Annotated[
        Duration, Meta(description="How long such a UDP socket may stay before it is reported.", gt=0)
    ] = 120.0
    poll: Annotated[
        Duration,
        Meta(
            description="How often to look whether any port was opened or closed; longer where that would cost too much.",
            gt=0,
        ),
    ] = 1.0
    max_events: Annotated[
        int, Meta(description="More listeners than this changed at once are one event with counts.", ge=1)
    ] = 100

    def __post_init__(self) -> None:
        """Refuse an entry of `expected` that cannot be understood."""
        for number, entry in enumerate(self.expected):
            try:
                parse(entry)
            except ValueError as error:
                raise ValueError(f"expected[{number}]: {error}") from error
