"""Reads links, routes, routing rules and switches, as iproute2 and /proc/sys state them, into the model's network."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from analysis.firewall.model import Link, Network, Route, RoutingRule, Span
from analysis.firewall.stacked import LYING_UPON
from analysis.firewall.values import LINK_TYPES, PROTOCOLS, ROUTE_TYPES, address, network, number

TABLES = {"": 254, "default": 253, "main": 254, "local": 255, "unspec": 0, "all": 0}
_KNOWN_RULE = frozenset(
    {
        "priority",
        "src",
        "srclen",
        "dst",
        "dstlen",
        "table",
        "action",
        "goto",
        "iif",
        "oif",
        "iif_detached",
        "oif_detached",
        "fwmark",
        "fwmask",
        "ipproto",
        "sport",
        "sport_start",
        "sport_end",
        "sport_mask",
        "dport",
        "dport_start",
        "dport_end",
        "dport_mask",
        "not",
        "suppress_prefixlen",
        "suppress_ifgroup",
        "protocol",
        "unresolved",
        "flags",
        "family",
    }
)


def read_network(
    links: Iterable[dict[str, Any]],
    routes: Iterable[tuple[int, dict[str, Any]]],
    rules: Iterable[tuple[int, dict[str, Any]]],
    switches: Mapping[str, str],
    strange: Callable[[str], None],
) -> Network:
    """Return the network; `strange` is told what was not understood. Routes and rules come with their family, 4 or 6."""
    found = {link.name: link for entry in links if (link := _guarded(_link, "link", entry, strange))}
    read_routes = [_guarded(partial(_route, family), "route", entry, strange) for family, entry in routes]
    read_rules = [_guarded(partial(_rule, family), "routing rule", entry, strange) for family, entry in rules]
    return Network(
        links=found,
        routes=tuple(route for route in read_routes if route),
        rules=tuple(sorted((rule for rule in read_rules if rule), key=lambda rule: rule.priority)),
        switches=dict(switches),
    )


def _guarded(read: Callable[[Any], Any], what: str, entry: Any, strange: Callable[[str], None]) -> Any:
    try:
        return read(entry)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        strange(f"a {what} that is not understood: {type(error).__name__} {error}"[:200])
        return None


def _link(entry: dict[str, Any]) -> Link:
    info = entry.get("linkinfo") or {}
    flags = entry.get("flags") or []
    group = entry.get("group", "default")
    return Link(
        name=str(entry["ifname"]),
        index=int(entry.get("ifindex", 0)),
        up="UP" in flags,
        loopback="LOOPBACK" in flags,
        kind=str(info.get("info_kind", "")),
        master=str(entry.get("master", "")),
        master_kind=str(info.get("info_slave_kind", "")),
        lower=str(entry.get("link", "")) if info.get("info_kind") in LYING_UPON else "",
        group=0 if group == "default" else number(str(group)) if number(str(group)) is not None else -1,  # type: ignore[arg-type]
        type=LINK_TYPES.get(str(entry.get("link_type", "")), -1),
        addresses=tuple(_addresses(entry)),
        point_to_point="POINTOPOINT" in flags,
        xdp="xdp" in entry,
    )


def _addresses(entry: dict[str, Any]) -> Iterable[tuple[int, int, int, int, str]]:
    for info in entry.get("addr_info") or []:
        if not info or "local" not in info:
            continue
        found = address(str(info["local"]))
        if found is None:
            raise ValueError(info["local"])
        wide = address(str(info.get("broadcast", "")))
        length = int(info.get("prefixlen", 32 if found[0] == 4 else 128))
        yield found[1], length, wide[1] if wide else -1, found[0], str(info.get("scope", "global"))


def _route(family: int, entry: dict[str, Any]) -> Route:
    bits = 32 if family == 4 else 128
    low, high, length = _network(str(entry.get("dst", "default")), bits)
    flags = entry.get("flags") or []
    hops = entry.get("nexthops") or []
    devices = tuple(dict.fromkeys(str(hop["dev"]) for hop in hops if "dev" in hop and not _dead(hop.get("flags"))))
    device = str(entry.get("dev", devices[0] if devices else ""))
    kind = ROUTE_TYPES.get(str(entry.get("type", "unicast")), -1)
    unsure = [f"{name} {entry[name]}" for name in ("from", "tos", "encap") if entry.get(name, "default") != "default"]
    if kind < 0:
        unsure.append(f"type {entry.get('type')}")
    if any("encap" in hop for hop in hops):
        unsure.append("encap")
    return Route(
        family=family,
        table=_table(entry.get("table", "")),
        low=low,
        high=high,
        length=length,
        kind=max(kind, 0),
        device=device,
        devices=devices or ((device,) if device else ()),
        metric=int(entry.get("metric", 0)),
        dead="dead" in flags or bool(hops and not devices),
        text=_words(entry),
        unsure=", ".join(unsure),
    )


def _dead(flags: Any) -> bool:
    return "dead" in (flags or [])


def _words(entry: dict[str, Any]) -> str:
    kind = entry.get("type", "unicast")
    words = [] if kind == "unicast" else [str(kind)]
    words.append(str(entry.get("dst", "default")))
    for name, word in (("gateway", "via"), ("dev", "dev"), ("table", "table")):
        if name in entry:
            words += [word, str(entry[name])]
    return " ".join(words)


def _rule(family: int, entry: dict[str, Any]) -> RoutingRule:
    bits = 32 if family == 4 else 128
    strange = sorted(set(entry) - _KNOWN_RULE)
    action = str(entry.get("action", "lookup"))
    if "goto" in entry:
        action = "goto"
    if action not in ("lookup", "unreachable", "blackhole", "prohibit", "goto", "nop", "to_tbl"):
        strange.append(f"action {action}")
    if any(name in entry and str(entry[name]) not in ("0xffff", "65535") for name in ("sport_mask", "dport_mask")):
        strange.append("a mask of ports")
    mark = number(str(entry["fwmark"])) if "fwmark" in entry else None
    return RoutingRule(
        family=family,
        priority=int(entry.get("priority", 0)),
        table=_table(entry.get("table", "")),
        action="lookup" if action == "to_tbl" else action,
        target=int(entry["goto"]) if "goto" in entry else 0,
        source=_selector(entry, "src", bits),
        destination=_selector(entry, "dst", bits),
        iif=str(entry.get("iif", "")),
        oif=str(entry.get("oif", "")),
        mark=mark,
        mask=number(str(entry.get("fwmask", "0xffffffff"))) or 0,
        protocol=_protocol(entry),
        source_ports=_ports(entry, "sport"),
        destination_ports=_ports(entry, "dport"),
        inverted="not" in entry,
        suppress_length=int(entry.get("suppress_prefixlen", -1)),
        suppress_group=0 if "suppress_ifgroup" in entry else -1,
        unsure=", ".join(strange + (["suppress_ifgroup"] if "suppress_ifgroup" in entry else [])),
    )


def _protocol(entry: dict[str, Any]) -> int:
    text = str(entry.get("ipproto", "0"))
    found = PROTOCOLS.get(text, number(text))
    if found is None:
        raise ValueError(f"protocol {text}")
    return found


def _ports(entry: dict[str, Any], name: str) -> Span | None:
    if name in entry:
        return Span(int(entry[name]), int(entry[name]))
    if f"{name}_start" in entry:
        return Span(int(entry[f"{name}_start"]), int(entry[f"{name}_end"]))
    return None


def _selector(entry: dict[str, Any], name: str, bits: int) -> Span | None:
    text = str(entry.get(name, "all"))
    length = int(entry.get(f"{name}len", bits))
    if text == "all" or (length == 0 and f"{name}len" in entry):
        return None
    found = address(text)
    if found is None:
        raise ValueError(text)
    return Span(*network(found[1], length, bits))


def _table(name: Any) -> int:
    known = TABLES.get(str(name))
    if known is not None:
        return known
    found = number(str(name))
    return found if found is not None else 1 << 600 | hash_of(str(name))


def hash_of(name: str) -> int:
    """Return a number that stands for a table known by its name only."""
    return int.from_bytes(name.encode("utf-8", "replace")[:64], "big")


def _network(text: str, bits: int) -> tuple[int, int, int]:
    if text == "default":
        return 0, (1 << bits) - 1, 0
    start, _, length = text.partition("/")
    found = address(start)
    if found is None:
        raise ValueError(text)
    size = int(length) if length else bits
    low, high = network(found[1], size, bits)
    return low, high, size
