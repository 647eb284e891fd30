"""A small internet on one machine: a host namespace and what is around it, made once, kept by small processes, gone when they end.

    internet -- wan0 |      | lan0 -- lan
                     | host |
       (loopback) lo |      | br0 (bridge) -- container

Every namespace is held by its `neighbour.py`; nothing has a name on the machine, so nothing is left when a run is killed. Link-layer
neighbours are fixed entries: what is judged is the way of the first packet, not whether a rule also ate the neighbour discovery before it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[3]

PORTS = (22, 53, 80, 123, 443, 3000, 5432, 8080, 8443, 9000)
"""Where every namespace listens, on TCP and UDP, for both families."""

INTERFACES = {"internet": "wan0", "lan": "lan0", "container": "br0", "host": ""}
"""The interface of the host by which each namespace's packets arrive."""

ADDRESSES: dict[str, dict[int, tuple[str, ...]]] = {
    "host": {
        4: ("192.0.2.10", "192.0.2.11", "10.1.0.1", "172.18.0.1", "127.0.0.1"),
        6: ("2001:db8:2::10", "2001:db8:2::11", "fd00:10::1", "fd00:18::1", "::1"),
    },
    "internet": {
        4: ("192.0.2.1", "203.0.113.5", "203.0.113.200", "198.51.100.7"),
        6: ("2001:db8:2::1", "2001:db8:77::5", "2001:db8:77::200", "2001:db8:99::7"),
    },
    "lan": {4: ("10.1.0.2", "10.1.0.3"), 6: ("fd00:10::2", "fd00:10::3")},
    "container": {4: ("172.18.0.2", "172.18.0.3"), 6: ("fd00:18::2", "fd00:18::3")},
}
"""The addresses of each namespace from which and to which probes go."""

SPOOFED = {4: "203.0.113.66", 6: "2001:db8:77::66"}
"""Addresses of the namespace `lan` that the host reaches over `wan0`: packets from them come by the wrong interface."""

_MAC = {name: f"02:00:00:00:{number:02x}" for number, name in enumerate(("internet", "lan", "container"), 1)}
_LENGTHS = {"internet": (24, 64), "lan": (24, 64), "container": (16, 64)}
_OWN = {
    "internet": ("192.0.2.10", "2001:db8:2::10"),
    "lan": ("10.1.0.1", "fd00:10::1"),
    "container": ("172.18.0.1", "fd00:18::1"),
}
_ATTACHED = {
    "internet": ("192.0.2.1", "2001:db8:2::1"),
    "lan": ("10.1.0.2", "10.1.0.3", "fd00:10::2", "fd00:10::3"),
    "container": ("172.18.0.2", "172.18.0.3", "fd00:18::2", "fd00:18::3"),
}
_HOST_SIDE = {
    "internet": ("192.0.2.10", "192.0.2.11", "2001:db8:2::10", "2001:db8:2::11"),
    "lan": ("10.1.0.1", "fd00:10::1"),
    "container": ("172.18.0.1", "fd00:18::1"),
}

SWITCHES = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    **{f"net.ipv4.conf.{place}.rp_filter": "0" for place in ("all", "wan0", "lan0", "br0")},
    **{f"net.ipv4.conf.{place}.route_localnet": "0" for place in ("all", "wan0", "lan0", "br0")},
}
"""The switches of the host that a ruleset may turn, and how they stand otherwise."""


class Helper:
    """A process that answers one JSON line with another."""

    def __init__(self, *argv: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )

    def tell(self, **order: Any) -> None:
        """Give an order; its answer must be fetched with `answer` before the next."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to the last order."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, **order: Any) -> Any:
        """Give an order and wait for its answer."""
        self.tell(**order)
        return self.answer()

    def close(self) -> None:
        """End the process, and with the last one of a namespace the namespace."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class World:
    """The namespaces and their helpers: `neighbours` by name send and listen, `loader` loads rulesets into the host and reads it."""

    def __init__(self) -> None:
        python = sys.executable
        self.neighbours = {
            name: Helper("unshare", "--net", "--", python, str(HERE / "neighbour.py")) for name in INTERFACES
        }
        for helper in self.neighbours.values():
            helper.ask(do="outcomes", seconds=0)
        self._join()
        for helper in self.neighbours.values():
            helper.ask(do="listen", ports=list(PORTS))
        self.loader = Helper(*self.inside("host"), python, str(HERE / "loader.py"))

    def inside(self, name: str) -> tuple[str, ...]:
        """Return the words that run a command in the namespace `name`."""
        return ("nsenter", f"--net=/proc/{self.neighbours[name].process.pid}/ns/net", "--")

    def run(self, name: str, *argv: str, stdin: str = "") -> str:
        """Run a command in the namespace `name` and return what it said; fails when it does."""
        done = subprocess.run((*self.inside(name), *argv), input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
        return done.stdout

    def close(self) -> None:
        """End every helper."""
        for helper in (self.loader, *self.neighbours.values()):
            helper.close()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self) -> None:
        for name in INTERFACES:
            self.run(name, "sh", "-e", stdin="\n".join(_sysctls()))
        pids = {name: helper.process.pid for name, helper in self.neighbours.items()}
        self.run("host", "ip", "-batch", "-", stdin="\n".join(_links(pids)))
        for name in _MAC:
            self.run(name, "ip", "-batch", "-", stdin="\n".join(_neighbour_side(name)))
        self.run("host", "ip", "-batch", "-", stdin="\n".join(_host_side()))


def _sysctls() -> Iterable[str]:
    for place in ("all", "default"):
        yield f"echo 0 > /proc/sys/net/ipv4/conf/{place}/rp_filter"
        yield f"echo 0 > /proc/sys/net/ipv6/conf/{place}/accept_dad"
        yield f"echo 0 > /proc/sys/net/ipv6/conf/{place}/accept_ra"
        yield f"echo 0 > /proc/sys/net/ipv6/conf/{place}/router_solicitations"
    for switch in ("tcp_synack_retries", "tcp_syn_retries"):
        yield f"echo 1 > /proc/sys/net/ipv4/{switch}"
    yield "echo 0 > /proc/sys/net/ipv4/icmp_ratelimit"


def _links(pids: dict[str, int]) -> Iterable[str]:
    yield "link set lo up"
    yield "link add br0 type bridge stp_state 0 forward_delay 0"
    yield "link set br0 address 02:00:00:00:03:01 up"
    for name, port in (("internet", "wan0"), ("lan", "lan0"), ("container", "vethc")):
        near = f"{_MAC[name]}:{'03' if port == 'vethc' else '01'}"
        yield f"link add {port} address {near} type veth peer name eth0 address {_MAC[name]}:02 netns {pids[name]}"
    yield "link set vethc master br0"
    for port in ("wan0", "lan0", "vethc"):
        yield f"link set {port} up"


def _neighbour_side(name: str) -> Iterable[str]:
    yield "link set lo up"
    yield "link set eth0 up"
    for family, length in zip((4, 6), _LENGTHS[name], strict=True):
        spoofed = (SPOOFED[family],) if name == "lan" else ()
        for address in (*ADDRESSES[name][family], *spoofed):
            attached = address in _ATTACHED[name]
            alone = 32 if family == 4 else 128
            yield f"address add {address}/{length if attached else alone} dev eth0{' nodad' if family == 6 else ''}"
    for address in _HOST_SIDE[name]:
        yield f"neighbour replace {address} lladdr {_gateway(name)} nud permanent dev eth0"
    for own in _OWN[name]:
        yield f"route add default via {own}"


def _gateway(name: str) -> str:
    return "02:00:00:00:03:01" if name == "container" else f"{_MAC[name]}:01"


def _host_side() -> Iterable[str]:
    for name in _MAC:
        device = INTERFACES[name]
        for address in _HOST_SIDE[name]:
            six = ":" in address
            yield f"address add {address}/{_LENGTHS[name][six]} dev {device}{' nodad' if six else ''}"
        for address in _ATTACHED[name]:
            yield f"neighbour replace {address} lladdr {_MAC[name]}:02 nud permanent dev {device}"
    yield "route add default via 192.0.2.1"
    yield "route add default via 2001:db8:2::1"
