"""The small process that lives in one network namespace: listens on many ports, and sends probes when told to, one JSON line each way.

It is run as a script by `topology.py` and needs the standard library alone. It ends when its standard input does.
"""

import errno
import json
import selectors
import socket
import struct
import sys
import time
from typing import Any

IP_PKTINFO = 8
IPV6_RECVPKTINFO, IPV6_PKTINFO = 49, 50
IPV6_TRANSPARENT = 75
LINGER_NONE = struct.pack("ii", 1, 0)
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
ANSWER = b"heard "
ANY = {4: "0.0.0.0", 6: "::"}


def listener(family: int, protocol: str, port: int) -> socket.socket:
    """Return a non-blocking socket that takes `protocol` on `port`, whatever address of this namespace it was sent to."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    opened = socket.socket(FAMILIES[family], kind)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == 6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind((ANY[family], port))
    if protocol == "tcp":
        opened.listen(4096)
    elif family == 4:
        opened.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    else:
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    return opened


class Ears:
    """The listening sockets of this namespace; UDP tokens are answered with themselves, marked as answers."""

    def __init__(self) -> None:
        self.tcp: list[socket.socket] = []
        self.udp: list[tuple[int, socket.socket]] = []

    def open(self, ports: list[int]) -> None:
        """Listen on `ports` with both protocols and families."""
        for family in FAMILIES:
            for port in ports:
                self.tcp.append(listener(family, "tcp", port))
                self.udp.append((family, listener(family, "udp", port)))

    def heard(self) -> list[dict[str, Any]]:
        """Return what arrived since the last call and forget it: tokens of UDP, peers' ports of TCP, with the address they came to."""
        arrived: list[dict[str, Any]] = []
        for ear in self.tcp:
            while True:
                try:
                    accepted, peer = ear.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    break
                here = accepted.getsockname()
                arrived.append({"protocol": "tcp", "peer": peer[1], "address": here[0], "port": here[1]})
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
                accepted.close()
        for family, ear in self.udp:
            arrived += _datagrams(family, ear)
        return arrived


def _datagrams(family: int, ear: socket.socket) -> list[dict[str, Any]]:
    found = []
    while True:
        try:
            data, ancillary, _, peer = ear.recvmsg(256, 256)
        except (BlockingIOError, ConnectionRefusedError):
            return found
        if data.startswith(ANSWER):
            continue  # Two listeners would answer each other for ever.
        here = ""
        for _, _, content in ancillary:
            here = socket.inet_ntop(FAMILIES[family], content[8:12] if family == 4 else content[:16])
        port = ear.getsockname()[1]
        found.append({"protocol": "udp", "token": data.decode(errors="replace"), "address": here, "port": port})
        try:
            ear.sendmsg([ANSWER, data], ancillary, 0, peer)
        except OSError:
            pass  # The answer is a courtesy: a probe of UDP has arrived when its token has.


def send(probe: dict[str, Any]) -> socket.socket:
    """Send the first packet of `probe`; the socket tells later what became of it."""
    kind = socket.SOCK_STREAM if probe["protocol"] == "tcp" else socket.SOCK_DGRAM
    client = socket.socket(FAMILIES[probe["family"]], kind)
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind((probe["source"], probe["source_port"]))
    try:
        if probe["protocol"] == "tcp":
            client.connect((probe["destination"], probe["port"]))
        else:
            client.sendto(probe["token"].encode(), (probe["destination"], probe["port"]))
    except BlockingIOError:
        pass
    return client


def outcome(client: socket.socket) -> str:
    """Say what became of a connection that is decided.

    A handshake that was completed and then disturbed (a later packet was rejected) is one that was completed: the socket still has its
    peer, or was reset, where one that never had a connection says that it was refused.
    """
    code = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code in (0, errno.ECONNRESET):
        return "connected"
    try:
        client.getpeername()
    except OSError:
        return f"error {code}"
    return "connected"


class Volley:
    """Many probes at once: all are sent, then all are waited for together."""

    def __init__(self, probes: list[dict[str, Any]]) -> None:
        self.selector = selectors.DefaultSelector()
        self.outcomes: dict[str, str] = {}
        self.clients = []
        for probe in probes:
            try:
                client = send(probe)
            except OSError as error:
                self.outcomes[probe["token"]] = f"error {error.errno}"
                continue
            self.clients.append(client)
            if probe["protocol"] == "tcp":
                self.selector.register(client, selectors.EVENT_WRITE, probe["token"])

    def wait(self, seconds: float) -> dict[str, str]:
        """Return by token what became of the TCP probes within `seconds`: connected, refused or another error; silent ones are left out."""
        deadline = time.monotonic() + seconds
        while self.selector.get_map():
            left = deadline - time.monotonic()
            for key, _ in self.selector.select(max(left, 0.0)):
                self.outcomes[key.data] = outcome(key.fileobj)  # type: ignore[arg-type]
                self.selector.unregister(key.fileobj)
            if left <= 0:
                break  # after a look: what was decided by then counts, also for a process that stood still meanwhile
        return self.outcomes

    def close(self) -> None:
        """Forget the connections without a word of farewell in the way of a later probe."""
        self.selector.close()
        for client in self.clients:
            if client.type == socket.SOCK_STREAM:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            client.close()


def main() -> None:
    """Obey the lines of standard input until it ends."""
    ears, volley = Ears(), Volley([])
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = {}
        if order["do"] == "listen":
            ears.open(order["ports"])
        elif order["do"] == "send":
            volley = Volley(order["probes"])
        elif order["do"] == "outcomes":
            answer = volley.wait(order["seconds"])
        elif order["do"] == "heard":
            answer = ears.heard()
            volley.close()
            volley = Volley([])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
