"""Small datapaths for tests of the evaluator: rows as the collector writes them, made of rules as `nft -j` writes them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.firewall.evaluate import Answers, evaluate
from analysis.firewall.model import Datapath
from analysis.firewall.probe import UNTRACED, Answer, Probe, Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row

Json = dict[str, Any]
ACCEPT: Json = {"accept": None}
DROP: Json = {"drop": None}


def field(name: str) -> Json:
    """`tcp dport`, `meta mark`, `ct state` … as JSON."""
    group, key = name.split(" ", 1)
    return {group: {"key": key}} if group in ("meta", "ct") else {"payload": {"protocol": group, "field": key}}


def match(left: str | Json, right: Any, operator: str = "==") -> Json:
    return {"match": {"op": operator, "left": field(left) if isinstance(left, str) else left, "right": right}}


def base(hook: str, priority: int = 0, policy: str = "accept", kind: str = "filter") -> Json:
    return {"type": kind, "hook": hook, "prio": priority, "policy": policy}


def table(
    name: str, chains: dict[str, tuple[Json, Sequence[list[Json]]]], family: str = "inet", sets: Sequence[Json] = ()
) -> dict[str, Row]:
    """Rows of a table: per chain what makes it a base chain ({} for others) and its rules."""
    rows = {f"table {family} {name}": Row(what="table", document=json.dumps({"family": family, "name": name}))}
    handle = 1
    for number, (chain, (head, rules)) in enumerate(chains.items(), 1):
        order = []
        for expressions in rules:
            handle += 1
            document = {"family": family, "table": name, "chain": chain, "handle": handle, "expr": expressions}
            rows[f"rule {family} {name} {chain} {handle}"] = Row(
                what="rule", document=json.dumps(document), text=f"rule {handle}"
            )
            order.append(handle)
        document = {"family": family, "table": name, "name": chain, "handle": number, **head}
        rows[f"chain {family} {name} {chain}"] = Row(what="chain", document=json.dumps(document), order=tuple(order))
    for one in sets:
        what = "map" if "map" in one else "set"
        rows[f"{what} {family} {name} {one['name']}"] = Row(
            what=what, document=json.dumps({"family": family, "table": name, **one})
        )
    return rows


def link(name: str, index: int, *addresses: tuple[str, int], **more: Any) -> dict[str, Row]:
    flags = ["LOOPBACK", "UP"] if name == "lo" else ["UP"]
    scope = "host" if name == "lo" else "global"
    info = [
        {"family": "inet6" if ":" in text else "inet", "local": text, "prefixlen": length, "scope": scope}
        for text, length in addresses
    ]
    document = {
        "ifname": name,
        "ifindex": index,
        "flags": flags,
        "link_type": "loopback" if name == "lo" else "ether",
        "addr_info": info,
        **more,
    }
    return {f"link {name}": Row(what="link", document=json.dumps(document))}


def route(target: str, device: str, **more: Any) -> dict[str, Row]:
    family = "6" if ":" in target or more.pop("six", False) else "4"
    document = {"dst": target, "dev": device, **more}
    return {
        f"route {family} {target} {device} {len(more)}": Row(what="route", document=json.dumps(document), text=family)
    }


def switches(**values: str) -> dict[str, Row]:
    return {f"switch net.{name.replace('__', '.')}": Row(what="switch", text=value) for name, value in values.items()}


HOST = {
    **link("lo", 1, ("127.0.0.1", 8), ("::1", 128)),
    **link("eth0", 2, ("192.0.2.10", 24), ("2001:db8::10", 64)),
    **link("br0", 3, ("172.18.0.1", 16), linkinfo={"info_kind": "bridge"}),
    **route("default", "eth0", gateway="192.0.2.1"),
    **route("default", "eth0", gateway="2001:db8::1", six=True),
    **route("192.0.2.0/24", "eth0"),
    **route("172.18.0.0/16", "br0"),
    **route("2001:db8::/64", "eth0"),
}
"""A host with the address 192.0.2.10 at eth0 and a bridge for containers; no ruleset, no forwarding."""


def probe(
    port: int = 80,
    *,
    protocol: str = "tcp",
    source: str = "203.0.113.7",
    destination: str = "",
    interface: str = "eth0",
) -> Probe:
    family = 6 if ":" in source else 4
    target = destination or ("2001:db8::10" if family == 6 else "192.0.2.10")
    return Probe(family=family, protocol=protocol, source=source, destination=target, port=port, interface=interface)


def datapath(*parts: dict[str, Row]) -> Datapath:
    rows = dict(HOST)
    for part in parts:
        rows.update(part)
    return read(rows)


def ask(made: Datapath, one: Probe) -> Answer:
    return named(evaluate(made, [one])).answer(0)


def named(found: Answers) -> Answers:
    """The same answers, of which every uncertain one names what it does not know."""
    for number, becomes in enumerate(found.verdicts()):
        unknown = found.answer(number).unknown
        assert bool(unknown) is (becomes is Verdict.UNCERTAIN)
        assert not any(UNTRACED in text for text in unknown), unknown
    return found


def verdicts(made: Datapath, probes: Iterable[Probe]) -> tuple[Verdict, ...]:
    return named(evaluate(made, list(probes))).verdicts()


def verdict(
    rules: Sequence[list[Json]], one: Probe | None = None, *, policy: str = "drop", sets: Sequence[Json] = ()
) -> Verdict:
    """What becomes of a probe by these rules in the input hook."""
    made = datapath(table("t", {"c": (base("input", 0, policy), rules), "sub": ({}, [])}, sets=sets))
    return verdicts(made, [one or probe()])[0]
