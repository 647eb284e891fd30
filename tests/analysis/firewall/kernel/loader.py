"""The process in the host's namespace that loads rulesets and reads back what decides, one JSON line each way.

It is run as a script by `topology.py`. Reading goes the product's own way: the collector `datapath` over the real `LinuxHost`.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

NETLINK_NETFILTER = 12
CT_DELETE = (1 << 8) | 2
REQUEST_ACK = 1 | 4
LEGACY_TABLES = ("raw", "mangle", "nat", "filter", "security")
LEGACY_HOOKS = {
    "raw": "PREROUTING OUTPUT",
    "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING",
    "nat": "PREROUTING INPUT OUTPUT POSTROUTING",
    "filter": "INPUT FORWARD OUTPUT",
    "security": "INPUT FORWARD OUTPUT",
}
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "XTABLES_LOCKFILE": tempfile.mkstemp(prefix="hfk-")[1]}


class Refused(Exception):
    """A tool did not take what it was given."""


def run(*argv: str, stdin: str = "") -> None:
    """Run a tool; raises `Refused` with what it said."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        raise Refused(f"{' '.join(argv)}: {done.stderr.strip()[:2000]}")


def forget_connections() -> None:
    """Empty the connection tracking table."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        for family in (socket.AF_INET, socket.AF_INET6):
            netlink.send(struct.pack("=IHHIIBBH", 20, CT_DELETE, REQUEST_ACK, 1, 0, family, 0, 0))
            code = struct.unpack_from("=i", netlink.recv(4096), 16)[0]
            if code not in (0, -2):
                raise Refused(f"conntrack: {os.strerror(-code)}")


def forget_sets() -> None:
    """Destroy the ipsets of former rounds; the kernel lets go of them a little after their rules, so some may stay till next time."""
    subprocess.run(("ipset", "destroy"), capture_output=True, check=False)


class Routing:
    """What was added to routes, rules and IPsec policies, to be taken out again."""

    def __init__(self) -> None:
        self.added: list[str] = []

    def replace(self, lines: list[str]) -> None:
        """Take out what was added before, and add `lines`; raises `Refused`."""
        while self.added:
            line = self.added.pop()
            self._ip("4 xfrm policy flush" if " xfrm " in line else line.replace(" add ", " del ", 1))
        for line in lines:
            self._ip(line)
            self.added.append(line)

    def _ip(self, line: str) -> None:
        family, *words = line.split()
        run("ip", f"-{family}", *words)


class Legacy:
    """What of the legacy tables must be emptied again; a table once touched stays registered in its namespace."""

    def __init__(self) -> None:
        self.dirty: set[tuple[str, str]] = set()

    def reset(self) -> None:
        """Empty the tables that the last ruleset used."""
        for family in ("ip", "ip6"):
            tables = [table for table in LEGACY_TABLES if (family, table) in self.dirty]
            lines = [
                f"*{table}\n" + "".join(f":{hook} ACCEPT [0:0]\n" for hook in LEGACY_HOOKS[table].split()) + "COMMIT\n"
                for table in tables
            ]
            if lines:
                run(f"{family}tables-legacy-restore", stdin="".join(lines))
        self.dirty.clear()

    def note(self, tool: str, script: str) -> None:
        """Remember which tables `script` fills."""
        if "legacy" in tool:
            family = "ip6" if tool.startswith("ip6") else "ip"
            self.dirty |= {(family, line[1:].strip()) for line in script.splitlines() if line.startswith("*")}


def load(order: dict[str, Any], legacy: Legacy, routing: Routing) -> None:
    """Replace everything by the ruleset of `order`: `switches`, `ipset`, `nft`, `routing`,
    and `restores` of (tool, script); raises `Refused`.
    """
    for name, value in order["switches"].items():
        Path("/proc/sys", *name.split(".")).write_text(value)
    routing.replace(order["routing"])
    legacy.reset()
    run("nft", "-f", "-", stdin="flush ruleset\n")
    if order["ipset"]:
        forget_sets()
        run("ipset", "-exist", "restore", stdin=order["ipset"])
    for tool, script in order["restores"]:
        legacy.note(tool, script)
        run(tool, stdin=script)
    run("nft", "-f", "-", stdin=order["nft"])
    forget_connections()


def rows() -> dict[str, Any]:
    """Look with the product's own collector and return its rows by key, or why it could not look."""
    import msgspec

    from collectors.firewall.datapath import DatapathCollector, Options
    from contracts.errors import Unavailable
    from contracts.snapshot import Snapshot
    from host.linux import LinuxHost

    collector = DatapathCollector(Options())
    try:
        report = collector.collect(LinuxHost(), Snapshot(subject=collector.name))
    except Unavailable as error:
        return {"unreadable": str(error)}
    return {"rows": msgspec.to_builtins(report.changes.put), "blind": msgspec.to_builtins(report.blind)}


def main() -> None:
    """Obey the lines of standard input until it ends."""
    legacy, routing = Legacy(), Routing()
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = {}
        try:
            if order["do"] == "load":
                load(order, legacy, routing)
            elif order["do"] == "forget":
                forget_connections()
            elif order["do"] == "rows":
                answer = rows()
        except Refused as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        main()
    finally:
        Path(ENVIRONMENT["XTABLES_LOCKFILE"]).unlink(missing_ok=True)
