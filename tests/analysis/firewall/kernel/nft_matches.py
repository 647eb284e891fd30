"""Conditions of nftables, of every kind that the evaluator knows."""

import ipaddress
from collections.abc import Callable

from tests.analysis.firewall.kernel.nft_values import (
    KINDS,
    PLACES,
    Piece,
    Place,
    Scene,
    address,
    address_spans,
    port_spans,
    span_text,
)
from tests.analysis.firewall.kernel.probing import BANDS


def compare(scene: Scene, left: str, tag: str, values: Callable[[int], list[str]], kind: str, ordered: bool) -> Piece:
    """Return `left` compared in one of the ways nftables has with some of `values`."""
    forms = {"equal": 20, "not equal": 8, "anonymous set": 14, "not in set": 6, "named set": 12, "not in named set": 4}
    if ordered:
        forms |= {"less": 3, "greater": 3}
    form = scene.choose.tag(forms)
    single = values(1)[0]
    many = ", ".join(values(scene.choose.number(2, 4)))
    tags = (tag, form)
    if form == "equal":
        shape = "range" if "-" in single else "prefix" if "/" in single else "equal"
        return f"{left} {single}", (tag, shape)
    if form == "not equal":
        return f"{left} != {single}", tags
    if form in ("less", "greater"):
        low = single.split("-")[0].split("/")[0]
        sign = scene.choose.pick(("<", "<=") if form == "less" else (">", ">="))
        return f"{left} {sign} {low}", tags
    negation = "!= " if form.startswith("not") else ""
    if "named" in form:
        name = scene.name("s")
        flags = "flags interval; " if any(mark in many for mark in "-/") or scene.choose.chance(50) else ""
        scene.sets.append(f"set {name} {{ type {kind}; {flags}elements = {{ {many} }}; }}")
        return f"{left} {negation}@{name}", (*tags, "interval set" if flags else "plain set")
    return f"{left} {negation}{{ {many} }}", tags


def match_address(scene: Scene, place: Place) -> Piece:
    version = scene.version()
    where = scene.choose.pick(("saddr", "daddr"))
    left = f"{'ip' if version == 4 else 'ip6'} {where}"
    if scene.choose.chance(10):
        mask = scene.choose.pick(
            ("255.255.0.0", "255.255.255.0") if version == 4 else ("ffff:ffff::", "ffff:ffff:ffff::")
        )
        base = address(scene, version, where)
        value = ipaddress.ip_address(int(ipaddress.ip_address(base)) & int(ipaddress.ip_address(mask)))
        sign = scene.choose.pick(("==", "!="))
        return f"{left} & {mask} {sign} {value}", (left, "bitwise and")
    return compare(scene, left, left, lambda count: address_spans(scene, version, count, where), KINDS[version], True)


def match_port(scene: Scene, place: Place) -> Piece:
    layer4 = scene.choose.pick((scene.layer4, scene.layer4, "th"))
    left = f"{layer4} {scene.choose.pick(('dport', 'dport', 'dport', 'sport'))}"
    before = "meta l4proto { tcp, udp } " if left.startswith("th") and scene.choose.chance(25) else ""
    if left.endswith("sport"):
        low, high = scene.choose.pick(BANDS)
        form = scene.choose.tag({"range": 5, "not equal": 2, "less": 2, "greater": 2})
        right = {"range": f"{low}-{high}", "not equal": f"!= {low}-{high}", "less": f"< {low}", "greater": f"> {high}"}
        return f"{before}{left} {right[form]}", (left, form)
    text, tags = compare(
        scene, left, left, lambda count: [span_text(s) for s in port_spans(scene, count)], "inet_service", True
    )
    return before + text, tags


def match_interface(scene: Scene, place: Place) -> Piece:
    keys = {
        "prerouting": ("iif",),
        "input": ("iif",),
        "forward": ("iif", "oif"),
        "output": ("oif",),
        "postrouting": ("oif",),
    }
    side = scene.choose.pick(keys[place.hook])
    if scene.choose.chance(30):
        return compare(
            scene, side, f"meta {side}", lambda count: scene.choose.some(PLACES, count, count), "iface_index", False
        )
    if scene.choose.chance(30):
        name = scene.choose.pick(('"w*"', '"l*"', '"br*"', '"lan*"'))
        sign = scene.choose.pick(("", "!= "))
        return f"{side}name {sign}{name}", (f"meta {side}name", "wildcard")
    values = [f'"{name}"' for name in PLACES]
    return compare(
        scene, f"{side}name", f"meta {side}name", lambda count: scene.choose.some(values, count, count), "ifname", False
    )


def match_mark(scene: Scene, place: Place) -> Piece:
    key = scene.choose.pick(("meta mark", "meta mark", "ct mark")) if place.tracked else "meta mark"
    marks = scene.pools.marks
    if scene.choose.chance(50):
        mask = scene.choose.pick((0x1, 0xF, 0x10, 0xFF, 0xF0))
        value = scene.choose.pick((*marks, 0)) & mask
        return f"{key} & {mask:#x} {scene.choose.pick(('==', '!='))} {value:#x}", (key, "bitwise and")

    def values(count: int) -> list[str]:
        return [f"{mark:#x}" for mark in scene.choose.some((*marks, 0), count, count)]

    return compare(scene, key, key, values, "mark", True)


def match_ct(scene: Scene, place: Place) -> Piece:
    key = scene.choose.tag(
        {
            "ct state": 14,
            "ct status": 4,
            "ct direction": 4,
            "ct original": 6,
            "ct l3proto": 2,
            "ct protocol": 2,
            "ct zone": 1,
        }
    )
    texts = {
        "ct state": (
            "ct state new", "ct state { new, untracked }", "ct state established,related", "ct state != new", "ct state invalid",
            "ct state untracked", "ct state new,established", "ct state != { established, related }", "ct state & (new|untracked) != 0",
        ),
        "ct status": ("ct status dnat", "ct status != dnat", "ct status snat", "ct status & dnat == 0", "ct status confirmed"),
        "ct direction": ("ct direction original", "ct direction reply", "ct direction != reply"),
        "ct l3proto": (f"ct l3proto != ipv{10 - scene.layer3}",),  # nft leaves `ct l3proto ipv4 tcp dport 80` out of its lists
        "ct protocol": ("ct protocol != tcp", "ct protocol { tcp, udp }", "ct protocol != udp"),
        "ct zone": ("ct zone 0", "ct zone != 1"),
    }  # fmt: skip
    if key != "ct original":
        return scene.choose.pick(texts[key]), (key,)
    direction = scene.choose.tag({"ct original tuple": 8, "ct reply tuple": 4}).split()[1]
    tag = f"ct {direction}"
    if scene.choose.chance(40):
        where = "proto-dst" if direction == "original" else "proto-src"
        port = scene.choose.pick(scene.pools.ports)
        return f"meta l4proto {scene.layer4} {tag} {where} {scene.choose.pick(('', '!= '))}{port}", (f"{tag} {where}",)
    version, where = scene.version(), scene.choose.pick(("saddr", "daddr"))
    left = f"{tag} {'ip' if version == 4 else 'ip6'} {where}"
    other = where if direction == "original" else {"saddr": "daddr", "daddr": "saddr"}[where]
    return f"{left} {scene.choose.pick(('', '!= '))}{address(scene, version, other)}", (left,)


def match_protocol(scene: Scene, place: Place) -> Piece:
    texts = {
        "meta l4proto": (
            "meta l4proto tcp",
            "meta l4proto udp",
            "meta l4proto { tcp, udp }",
            "meta l4proto != tcp",
            "meta l4proto 6",
        ),
        "meta nfproto": (f"meta nfproto ipv{scene.layer3}", "meta nfproto != ipv4", "meta nfproto != ipv6"),
        "meta protocol": (f"meta protocol {'ip' if scene.layer3 == 4 else 'ip6'}", "meta protocol { ip, ip6 }"),
        "ip protocol": ("ip protocol tcp", "ip protocol { udp, icmp }", "ip protocol != tcp"),
        "ip6 nexthdr": ("ip6 nexthdr tcp", "ip6 nexthdr { udp, ipv6-icmp }", "ip6 nexthdr != udp"),
    }
    del texts["ip6 nexthdr" if scene.layer3 == 4 else "ip protocol"]
    if scene.family != "inet":
        del texts["meta nfproto"]
    key = scene.choose.tag(dict.fromkeys(texts, 4))
    return scene.choose.pick(texts[key]), (key,)


def match_fib(scene: Scene, place: Place) -> Piece:
    incoming = place.hook in ("prerouting", "input", "forward")
    texts = {
        "fib type": [
            "fib daddr type local", "fib daddr type != local", "fib saddr type unicast", "fib daddr type { local, broadcast }",
            "fib saddr type local", "fib daddr type unicast",
        ],
    }  # fmt: skip
    if incoming and place.hook != "forward":
        texts["fib oif"] = ['fib daddr oif "lo"', "fib saddr . iif oif exists", "fib saddr . iif oif missing", "fib saddr oif exists",
            "fib saddr . mark . iif oif exists"]  # fmt: skip
        texts["fib oifname"] = [
            'fib saddr oifname "wan0"',
            'fib saddr oifname != "wan0"',
            'fib saddr oifname { "lan0", "br0" }',
        ]
        texts["fib type iif"] = [
            "fib daddr . iif type local",
            "fib daddr . iif type != local",
            "fib saddr . iif type unicast",
        ]
    key = scene.choose.tag(dict.fromkeys(texts, 4))
    return scene.choose.pick(texts[key]), (key,)


def match_flags(scene: Scene, place: Place) -> Piece:
    scene.layer4 = "tcp"
    texts = (
        "tcp flags syn", "tcp flags & (fin|syn|rst|ack) == syn", "tcp flags & (fin|syn|rst|ack) != syn", "tcp flags & syn != 0",
        "tcp flags syn / fin,syn,rst,ack", "tcp flags & ack == 0", "tcp flags { syn, ack }", "tcp flags != syn", "tcp flags ! fin,rst",
        "tcp flags & (syn|ack) == (syn|ack)",
    )  # fmt: skip
    return scene.choose.pick(texts), ("tcp flags",)


def match_raw(scene: Scene, place: Place) -> Piece:
    form = scene.choose.tag({"@th": 4, "@nh": 4})
    sign = scene.choose.pick(("", "", "!= "))
    if form == "@th":
        port = scene.choose.pick(scene.pools.ports)
        return f"@th,16,16 {sign}{port}", ("raw @th",)
    version = scene.version()
    where = scene.choose.pick(("saddr", "daddr"))
    offset = {(4, "saddr"): 96, (4, "daddr"): 128, (6, "saddr"): 64, (6, "daddr"): 192}[version, where]
    number = int(ipaddress.ip_address(address(scene, version, where)))
    guard = f"meta protocol {'ip' if version == 4 else 'ip6'} " if scene.family in ("inet", "netdev") else ""
    bits = 32 if version == 4 else 128
    return f"{guard}@nh,{offset},{bits} {sign}{number:#x}", ("raw @nh",)


def match_header(scene: Scene, place: Place) -> Piece:
    texts = {
        "ip version": ("ip version 4",), "ip hdrlength": ("ip hdrlength 5", "ip hdrlength > 5"),
        "ip frag-off": ("ip frag-off & 0x1fff == 0", "ip frag-off & 0x1fff != 0"), "ip6 version": ("ip6 version 6",),
        "meta pkttype": ("meta pkttype host", "meta pkttype { broadcast, multicast }", "meta pkttype != host"),
        "meta iiftype": ("meta iiftype != loopback", "meta iiftype != ether"),
        "meta iifgroup": ("meta iifgroup 0", "meta iifgroup default", "meta iifgroup != 0"),
        "meta iifkind": ('meta iifkind "veth"', 'meta iifkind "bridge"', 'meta iifkind != "veth"'),
        "meta oifgroup": ("meta oifgroup 0",), "meta oiftype": ("meta oiftype ether", "meta oiftype loopback"),
    }  # fmt: skip
    other = "ip6 " if scene.layer3 == 4 else "ip "
    allowed = [key for key in texts if not key.startswith(other)]
    side = {"prerouting": "meta oif", "input": "meta oif", "output": "meta iif", "postrouting": "meta iif"}.get(
        place.hook, "-"
    )
    key = scene.choose.tag(dict.fromkeys([key for key in allowed if not key.startswith(side)], 3))
    return scene.choose.pick(texts[key]), (key,)


def concat_parts(scene: Scene, place: Place) -> tuple[str, list[str], list[Callable[[], str]]]:
    """Return the left side of a concatenation, the types of its parts, and what makes a value of each part."""
    version = scene.version()
    where = scene.choose.pick(("saddr", "daddr"))
    layer = "ip" if version == 4 else "ip6"
    left = [f"{layer} {where}", f"{scene.layer4} dport"]
    kinds = [KINDS[version], "inet_service"]
    makers: list[Callable[[], str]] = [
        lambda: address(scene, version, where),
        lambda: span_text(port_spans(scene, 1)[0]),
    ]
    if place.hook in ("prerouting", "input", "forward") and scene.choose.chance(35):
        left.append("iifname")
        kinds.append("ifname")
        makers.append(lambda: f'"{scene.choose.pick(PLACES)}"')
    elif scene.choose.chance(30):
        left = ["meta l4proto", "th dport", left[0]]
        kinds = ["inet_proto", "inet_service", kinds[0]]
        makers = [lambda: scene.choose.pick(("tcp", "udp")), makers[1], makers[0]]
    return " . ".join(left), kinds, makers


def concat_elements(makers: list[Callable[[], str]], count: int, intervals: bool) -> list[str]:
    """Return up to `count` different concatenated keys whose first parts or spans do not clash."""
    found: dict[tuple[str, ...], str] = {}
    for _ in range(count):
        parts = [make() for make in makers]
        if not intervals:
            parts = [part.split("-")[0] if part[0].isdigit() and ":" not in part else part for part in parts]
        found.setdefault(tuple(p for p in parts if not p.replace("-", "").isdigit()), " . ".join(parts))
    return list(found.values())


def match_concat(scene: Scene, place: Place) -> Piece:
    left, kinds, makers = concat_parts(scene, place)
    intervals = scene.choose.chance(60)
    many = ", ".join(concat_elements(makers, scene.choose.number(2, 5), intervals))
    tags = ("concatenation with intervals" if intervals else "concatenation",)
    sign = scene.choose.pick(("", "", "!= "))
    if scene.choose.chance(50):
        name = scene.name("c")
        flags = "flags interval; " if intervals else ""
        scene.sets.append(f"set {name} {{ type {' . '.join(kinds)}; {flags}elements = {{ {many} }}; }}")
        return f"{left} {sign}@{name}", (*tags, "named set")
    return f"{left} {sign}{{ {many} }}", (*tags, "anonymous set")


MATCHES: dict[str, tuple[int, Callable[[Scene, Place], Piece]]] = {
    "address": (22, match_address),
    "port": (24, match_port),
    "interface": (12, match_interface),
    "mark": (6, match_mark),
    "ct": (10, match_ct),
    "protocol": (10, match_protocol),
    "fib": (6, match_fib),
    "flags": (4, match_flags),
    "raw": (5, match_raw),
    "header": (5, match_header),
    "concat": (8, match_concat),
}


def match(scene: Scene, place: Place) -> Piece:
    """Return one condition."""
    kinds = {
        name: weight
        for name, (weight, _) in MATCHES.items()
        if name != "ct" or place.tracked or scene.choose.chance(15)
    }
    return MATCHES[scene.choose.tag(kinds)][1](scene, place)
