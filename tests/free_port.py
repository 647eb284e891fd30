"""A port of loopback for a server that a test starts: one that the kernel gives to no client in the meantime."""

import random
import socket


def free_port() -> int:
    """Return a port that is free now, below those for clients (`ip_local_port_range`).

    One of theirs may be taken between the asking and the listening, by any other test; and who asks again and again whether a server
    listens there by now may get that very port for himself, and be connected to nobody but himself.
    """
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.randint(15_000, 30_000)))
            except OSError:
                continue
            return int(probe.getsockname()[1])
