"""Rulesets of nftables with every expression and statement that the evaluator knows, biased so that rules hit the probes of the same round.

`draw_nft` makes them from any `Chooser`; `rounds` is the hypothesis strategy of rulesets with their shots. Every choice carries the tag under which
decided probes are counted (`TAGS`).
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.analysis.firewall.kernel.choosing import Chooser, Drawn
from tests.analysis.firewall.kernel.probing import BANDS, Shot
from tests.analysis.firewall.kernel.rulesets import Chain, Rule, Ruleset, Table
from tests.analysis.firewall.kernel.scene import Pools, draw_pools, draw_shots
from tests.analysis.firewall.kernel.xtables_strategies import draw_xtables

Piece = tuple[str, tuple[str, ...]]
"""A part of a rule, and its tags."""

SHOTS = 40
PLACES = ("lo", "wan0", "lan0", "br0")
HOOKS = {"prerouting": 22, "input": 40, "forward": 20, "output": 14, "postrouting": 8}
PRIORITIES = (-400, -300, -250, -150, -100, -50, 0, 0, 0, 1, 10, 50, 100, 225, 300)
KINDS = {4: "ipv4_addr", 6: "ipv6_addr"}
SWITCHED = (
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv6.conf.all.forwarding", "0"),
    ("net.ipv4.conf.lan0.rp_filter", "1"),
    ("net.ipv4.conf.lan0.rp_filter", "2"),
    ("net.ipv4.conf.all.rp_filter", "1"),
    ("net.ipv4.conf.all.rp_filter", "2"),
    ("net.ipv4.conf.wan0.route_localnet", "1"),
)


@dataclass
class Scene:
    """What one table's rules draw from."""

    choose: Chooser
    pools: Pools
    family: str
    sets: list[str] = field(default_factory=list)
    subchains: list[str] = field(default_factory=list)
    count: int = 0
    layer3: int = 4
    layer4: str = "tcp"

    def begin_rule(self) -> None:
        """Choose the address family and the protocol of the next rule: nft refuses a rule that contradicts itself."""
        self.layer3 = {"ip": 4, "ip6": 6}.get(self.family) or self.choose.pick((4, 4, 6))
        self.layer4 = self.choose.pick(("tcp", "tcp", "udp"))

    def name(self, letter: str) -> str:
        """Return a new name within the table."""
        self.count += 1
        return f"{letter}{self.count}"

    def version(self) -> int:
        """Return 4 or 6, the same throughout a rule."""
        return self.layer3


@dataclass(frozen=True)
class Place:
    """Where a rule stands."""

    hook: str
    priority: int
    kind: str = "filter"

    @property
    def tracked(self) -> bool:
        """Whether connection tracking has seen the packet before."""
        return self.hook not in ("prerouting", "output") or self.priority > -200


# ---- values


def port_spans(scene: Scene, count: int) -> list[tuple[int, int]]:
    """Return up to `count` spans of ports that do not overlap, most of them around ports that are probed."""
    spans: list[tuple[int, int]] = []
    for _ in range(count):
        low = scene.choose.pick(scene.pools.ports)
        high = low + scene.choose.pick((0, 0, 0, 1, 50, 400))
        if all(high < other_low - 1 or low > other_high + 1 for other_low, other_high in spans):
            spans.append((low, high))
    return spans


def address_spans(scene: Scene, version: int, count: int, where: str) -> list[str]:
    """Return up to `count` addresses, prefixes or ranges that do not overlap."""
    taken: list[tuple[int, int]] = []
    texts = []
    for _ in range(count):
        text = address_span(scene, version, where)
        low, high = bounds(text)
        if all(high < other_low - 1 or low > other_high + 1 for other_low, other_high in taken):
            taken.append((low, high))
            texts.append(text)
    return texts


def address(scene: Scene, version: int, where: str) -> str:
    """Return an address that probes come from (`saddr`) or go to (`daddr`)."""
    pools = scene.pools
    if where == "saddr":
        return scene.choose.pick(pools.sources[version] + pools.destinations[version][:1])
    return scene.choose.pick(pools.destinations[version] + pools.translated[version][:2])


def address_span(scene: Scene, version: int, where: str) -> str:
    """Return an address, a prefix or a range around one that is probed."""
    base = address(scene, version, where)
    form = scene.choose.pick(("one", "one", "prefix", "range"))
    if form == "prefix":
        lengths = (8, 16, 24, 31) if version == 4 else (16, 32, 48, 64, 127)
        return str(ipaddress.ip_network(f"{base}/{scene.choose.pick(lengths)}", strict=False))
    if form == "range":
        number = int(ipaddress.ip_address(base))
        low, high = number - scene.choose.number(0, 3), number + scene.choose.number(0, 200)
        kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        return f"{kind(low)}-{kind(high)}"
    return base


def bounds(text: str) -> tuple[int, int]:
    """Return the first and last number of an address, prefix or range."""
    if "-" in text:
        low, high = text.split("-")
        return int(ipaddress.ip_address(low)), int(ipaddress.ip_address(high))
    network = ipaddress.ip_network(text)
    return int(network.network_address), int(network.broadcast_address)


def span_text(span: tuple[int, int]) -> str:
    """Return a span of ports as nft writes it."""
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def verdict(scene: Scene, place: Place) -> Piece:
    """Return a verdict that may stand as the data of a map."""
    weights = {"accept": 40, "drop": 40, "return": 6, "continue": 5}
    if scene.subchains:
        weights |= {"jump": 20, "goto": 10}
    kind = scene.choose.tag(weights)
    if kind in ("jump", "goto"):
        return f"{kind} {scene.choose.pick(scene.subchains)}", (f"verdict {kind}",)
    return kind, (f"verdict {kind}",)


# ---- comparisons by type


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
        mask = scene.choose.pick(("255.255.0.0", "255.255.255.0") if version == 4 else ("ffff:ffff::", "ffff:ffff:ffff::"))
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
    keys = {"prerouting": ("iif",), "input": ("iif",), "forward": ("iif", "oif"), "output": ("oif",), "postrouting": ("oif",)}
    side = scene.choose.pick(keys[place.hook])
    if scene.choose.chance(30):
        return compare(scene, side, f"meta {side}", lambda count: scene.choose.some(PLACES, count, count), "iface_index", False)
    if scene.choose.chance(30):
        name = scene.choose.pick(('"w*"', '"l*"', '"br*"', '"lan*"'))
        sign = scene.choose.pick(("", "!= "))
        return f"{side}name {sign}{name}", (f"meta {side}name", "wildcard")
    values = [f'"{name}"' for name in PLACES]
    return compare(scene, f"{side}name", f"meta {side}name", lambda count: scene.choose.some(values, count, count), "ifname", False)


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
        {"ct state": 14, "ct status": 4, "ct direction": 4, "ct original": 6, "ct l3proto": 2, "ct protocol": 2, "ct zone": 1}
    )
    texts = {
        "ct state": (
            "ct state new", "ct state { new, untracked }", "ct state established,related", "ct state != new", "ct state invalid",
            "ct state untracked", "ct state new,established", "ct state != { established, related }", "ct state & (new|untracked) != 0",
        ),
        "ct status": ("ct status dnat", "ct status != dnat", "ct status snat", "ct status & dnat == 0", "ct status confirmed"),
        "ct direction": ("ct direction original", "ct direction reply", "ct direction != reply"),
        "ct l3proto": ("ct l3proto ipv4", "ct l3proto ipv6"),
        "ct protocol": ("ct protocol tcp", "ct protocol { tcp, udp }", "ct protocol != udp"),
        "ct zone": ("ct zone 0", "ct zone != 1"),
    }  # fmt: skip
    if key != "ct original":
        return scene.choose.pick(texts[key]), (key,)
    if scene.choose.chance(40):
        port = scene.choose.pick(scene.pools.ports)
        return f"meta l4proto {{ tcp, udp }} ct original proto-dst {scene.choose.pick(('', '!= '))}{port}", ("ct original proto-dst",)
    version, where = scene.version(), scene.choose.pick(("saddr", "daddr"))
    left = f"ct original {'ip' if version == 4 else 'ip6'} {where}"
    return f"{left} {address(scene, version, where)}", (left,)


def match_protocol(scene: Scene, place: Place) -> Piece:
    texts = {
        "meta l4proto": ("meta l4proto tcp", "meta l4proto udp", "meta l4proto { tcp, udp }", "meta l4proto != tcp", "meta l4proto 6"),
        "meta nfproto": ("meta nfproto ipv4", "meta nfproto ipv6", "meta nfproto != ipv6"),
        "meta protocol": ("meta protocol ip", "meta protocol ip6", "meta protocol { ip, ip6 }"),
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
        texts["fib oifname"] = ['fib saddr oifname "wan0"', 'fib saddr oifname != "wan0"', 'fib saddr oifname { "lan0", "br0" }']
        texts["fib type iif"] = ["fib daddr . iif type local", "fib daddr . iif type != local", "fib saddr . iif type unicast"]
    key = scene.choose.tag(dict.fromkeys(texts, 4))
    return scene.choose.pick(texts[key]), (key,)


def match_flags(scene: Scene, place: Place) -> Piece:
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
    guard = f"meta protocol {'ip' if version == 4 else 'ip6'} " if scene.family == "inet" else ""
    bits = 32 if version == 4 else 128
    return f"{guard}@nh,{offset},{bits} {sign}{number:#x}", ("raw @nh",)


def match_header(scene: Scene, place: Place) -> Piece:
    texts = {
        "ip version": ("ip version 4",), "ip hdrlength": ("ip hdrlength 5", "ip hdrlength > 5"),
        "ip frag-off": ("ip frag-off & 0x1fff == 0", "ip frag-off & 0x1fff != 0"), "ip6 version": ("ip6 version 6",),
        "meta pkttype": ("meta pkttype host", "meta pkttype { broadcast, multicast }", "meta pkttype != host"),
        "meta iiftype": ("meta iiftype ether", "meta iiftype loopback", "meta iiftype != ether"),
        "meta iifgroup": ("meta iifgroup 0", "meta iifgroup default", "meta iifgroup != 0"),
        "meta iifkind": ('meta iifkind "veth"', 'meta iifkind "bridge"', 'meta iifkind != "veth"'),
        "meta oifgroup": ("meta oifgroup 0",), "meta oiftype": ("meta oiftype ether", "meta oiftype loopback"),
    }  # fmt: skip
    other = "ip6 " if scene.layer3 == 4 else "ip "
    allowed = [key for key in texts if not key.startswith(other)]
    side = {"prerouting": "meta oif", "input": "meta oif", "output": "meta iif", "postrouting": "meta iif"}.get(place.hook, "-")
    key = scene.choose.tag(dict.fromkeys([key for key in allowed if not key.startswith(side)], 3))
    return scene.choose.pick(texts[key]), (key,)


def concat_parts(scene: Scene, place: Place) -> tuple[str, list[str], list[Callable[[], str]]]:
    """Return the left side of a concatenation, the types of its parts, and what makes a value of each part; the first are single addresses."""
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
    kinds = {name: weight for name, (weight, _) in MATCHES.items() if name != "ct" or place.tracked or scene.choose.chance(15)}
    return MATCHES[scene.choose.tag(kinds)][1](scene, place)


# ---- statements


def map_values(scene: Scene, place: Place, count: int) -> tuple[str, str, list[str]]:
    """Return the key of a map, its type, and keys."""
    key = scene.choose.tag({"port": 8, "address": 8, "interface": 4, "protocol": 3, "concat": 6, "mark": 2})
    if key == "address":
        version, where = scene.version(), scene.choose.pick(("saddr", "daddr"))
        left = f"{'ip' if version == 4 else 'ip6'} {where}"
        return left, KINDS[version], address_spans(scene, version, count, where)
    if key == "interface" and place.hook in ("prerouting", "input", "forward"):
        return "iifname", "ifname", [f'"{name}"' for name in scene.choose.some(PLACES, count, count)]
    if key == "protocol":
        return "meta l4proto", "inet_proto", ["tcp", "udp"][: max(1, count - 1)]
    if key == "mark":
        return "meta mark", "mark", [f"{mark:#x}" for mark in scene.choose.some((0, *scene.pools.marks), count, count)]
    if key == "concat":
        left, kinds, makers = concat_parts(scene, place)
        return left, " . ".join(kinds), concat_elements(makers, count, True)
    return f"{scene.layer4} dport", "inet_service", [span_text(span) for span in port_spans(scene, count)]


def verdict_map(scene: Scene, place: Place) -> Piece:
    if place.tracked and scene.choose.chance(12):
        return f"ct state vmap {{ established : accept, new : {verdict(scene, place)[0]}, invalid : drop }}", ("anonymous vmap", "ct state")
    left, kind, keys = map_values(scene, place, scene.choose.number(2, 4))
    tags: list[str] = []
    elements = []
    for key in keys:
        text, more = verdict(scene, place)
        elements.append(f"{key} : {text}")
        tags += more
    many = ", ".join(elements)
    if scene.choose.chance(50):
        name = scene.name("v")
        intervals = "flags interval; " if any("-" in key or "/" in key for key in keys) else ""
        scene.sets.append(f"map {name} {{ type {kind} : verdict; {intervals}elements = {{ {many} }}; }}")
        return f"{left} vmap @{name}", ("named vmap", *dict.fromkeys(tags))
    return f"{left} vmap {{ {many} }}", ("anonymous vmap", *dict.fromkeys(tags))


def assignment(scene: Scene, place: Place) -> Piece:
    marks = scene.pools.marks
    forms = {"meta mark set": 10, "meta mark set bits": 8, "meta mark set map": 4}
    if place.tracked:
        forms |= {"ct mark set": 6, "meta mark set ct mark": 4, "ct mark set meta mark": 4}
    form = scene.choose.tag(forms)
    mark = scene.choose.pick(marks)
    texts = {
        "meta mark set": f"meta mark set {mark:#x}",
        "meta mark set bits": f"meta mark set meta mark {scene.choose.pick(('|', '&', '^'))} {mark:#x}",
        "ct mark set": f"ct mark set {mark:#x}",
        "meta mark set ct mark": "meta mark set ct mark",
        "ct mark set meta mark": "ct mark set meta mark",
        "meta mark set map": "",
    }
    if form == "meta mark set map":
        ports = [span_text(span) for span in port_spans(scene, 3)]
        elements = ", ".join(f"{port} : {scene.choose.pick(marks):#x}" for port in ports)
        return f"meta mark set {scene.layer4} dport map {{ {elements} }}", (form,)
    return texts[form], (form,)


def rejection(scene: Scene, place: Place) -> Piece:
    texts = ["reject", "meta l4proto tcp reject with tcp reset"]
    texts += {
        "inet": ["reject with icmpx admin-prohibited", "reject with icmpx port-unreachable"],
        "ip": ["reject with icmp host-unreachable"],
        "ip6": ["reject with icmpv6 addr-unreachable"],
    }[scene.family]
    return scene.choose.pick(texts), ("verdict reject",)


def ending(scene: Scene, place: Place) -> Piece:
    """Return what a rule does when it matched."""
    kinds = {"accept": 26, "drop": 22, "assignment": 12, "vmap": 14, "return": 4, "none": 2}
    if place.hook in ("input", "forward", "output"):
        kinds["reject"] = 9
    if scene.subchains:
        kinds |= {"jump": 14, "goto": 7}
    if not place.tracked:
        kinds["notrack"] = 14
    if scene.choose.chance(4):
        name = scene.name("d")
        version, where = scene.version(), scene.choose.pick(("saddr", "daddr"))
        left = f"{'ip' if version == 4 else 'ip6'} {where}"
        scene.sets.append(f"set {name} {{ type {KINDS[version]}; flags dynamic; size 65535; timeout 1h; }}")
        word = scene.choose.pick(("add", "update"))
        return f"{left} != 0.0.0.0 {word} @{name} {{ {left} }} {left} @{name} drop".replace("0.0.0.0", "::" if version == 6 else "0.0.0.0"), ("update set", "verdict drop")  # fmt: skip
    kind = scene.choose.tag(kinds)
    if kind == "vmap":
        return verdict_map(scene, place)
    if kind == "assignment":
        return assignment(scene, place)
    if kind == "reject":
        return rejection(scene, place)
    if kind in ("jump", "goto"):
        return f"{kind} {scene.choose.pick(scene.subchains)}", (f"verdict {kind}",)
    if kind == "notrack":
        return "notrack", ("notrack",)
    if kind == "none":
        return scene.choose.pick(("counter", 'log prefix "x "', "continue")), ()
    return kind, (f"verdict {kind}",)


def rule(scene: Scene, place: Place) -> Rule:
    """Return one rule of a chain of type filter or route."""
    scene.begin_rule()
    parts = [match(scene, place) for _ in range(scene.choose.pick((1, 1, 1, 2, 2, 0)))]
    if scene.choose.chance(10):
        parts.append((scene.choose.pick(("counter", 'log prefix "seen "')), ()))
    parts.append(ending(scene, place))
    return joined(parts)


def joined(parts: list[Piece]) -> Rule:
    """Return the rule that `parts` make."""
    tags = dict.fromkeys(tag for _, more in parts for tag in more)
    return Rule(text=" ".join(text for text, _ in parts), tags=tuple(tags))


# ---- address translation


def nat_rule(scene: Scene, place: Place) -> Rule:
    """Return a rule of a chain of type nat."""
    scene.begin_rule()
    narrow = [match(scene, place)] if scene.choose.chance(50) else []
    if scene.choose.chance(12):
        return joined([*narrow, (scene.choose.pick(("accept", "return")), ("nat accept",))])
    if place.hook in ("postrouting", "input"):
        return joined([*narrow, source_nat(scene, place)])
    return joined([*narrow, destination_nat(scene)])


def source_nat(scene: Scene, place: Place) -> Piece:
    version = scene.version()
    word = "ip " if scene.family == "inet" and version == 4 else "ip6 " if scene.family == "inet" else ""
    own = scene.choose.pick(scene.pools.destinations[version])
    if place.hook == "postrouting" and scene.choose.chance(50):
        return 'oifname != "lo" masquerade', ("masquerade",)
    guard = 'oifname != "lo" ' if place.hook == "postrouting" else 'iifname != "lo" '
    return f"{guard}snat {word}to {own}", ("snat",)


def destination_nat(scene: Scene) -> Piece:
    version = scene.version()
    word = {"inet": "ip " if version == 4 else "ip6 "}.get(scene.family, "")
    protocol = scene.layer4
    ports = [span_text(span) for span in port_spans(scene, 3)]
    target = lambda: scene.choose.pick(scene.pools.translated[version])  # noqa: E731
    aim = lambda: scene.choose.pick((*scene.pools.ports, 9000))  # noqa: E731
    bracketed = lambda address, port: f"{address}:{port}" if version == 4 else f"[{address}]:{port}"  # noqa: E731
    form = scene.choose.tag(
        {"dnat": 8, "dnat with port": 10, "redirect": 8, "dnat map": 5, "dnat map with port": 5, "redirect map": 4, "dnat prefix": 3, "dnat named map": 4}
    )  # fmt: skip
    texts: dict[str, Callable[[], str]] = {
        "dnat": lambda: f"{protocol} dport {ports[0]} dnat {word}to {target()}",
        "dnat with port": lambda: f"{protocol} dport {ports[0]} dnat {word}to {bracketed(target(), aim())}",
        "redirect": lambda: f"{protocol} dport {{ {', '.join(ports)} }} redirect to :{aim()}",
        "dnat map": lambda: f"dnat {word}to {protocol} dport map {{ {', '.join(f'{p} : {target()}' for p in ports)} }}",
        "dnat map with port": lambda: (
            f"dnat {word}to {protocol} dport map {{ {', '.join(f'{p} : {target()} . {aim()}' for p in ports)} }}"
        ),
        "redirect map": lambda: f"meta l4proto {protocol} redirect to :{protocol} dport map {{ {', '.join(f'{p} : {aim()}' for p in ports)} }}",
        "dnat prefix": lambda: (
            "dnat ip prefix to ip daddr map { 192.0.2.8/29 : 172.18.0.0/29, 10.1.0.0/24 : 172.18.0.0/24 }"
            if version == 4
            else f"{protocol} dport {ports[0]} dnat {word}to {target()}"
        ),
    }
    if form == "dnat named map":
        name = scene.name("m")
        kind = KINDS[version]
        elements = ", ".join(f"{port} : {target()} . {aim()}" for port in ports)
        flags = "flags interval; " if any("-" in port for port in ports) else ""
        scene.sets.append(f"map {name} {{ type inet_service : {kind} . inet_service; {flags}elements = {{ {elements} }}; }}")
        return f"dnat {word}to {protocol} dport map @{name}", (form,)
    return texts[form](), (form,)


# ---- chains, tables


def base_chain(scene: Scene, name: str) -> Chain:
    """Return a base chain with its rules."""
    choose = scene.choose
    kind = choose.tag({"type filter": 70, "type nat": 22, "type route": 6}).removeprefix("type ")
    if kind == "nat":
        hook = choose.tag({"prerouting": 60, "output": 15, "postrouting": 20, "input": 6})
        priority = choose.pick((-100, -100, -150, -90, 0, 100) if hook in ("prerouting", "output") else (100, 50, 300))
        rules = tuple(nat_rule(scene, Place(hook, priority, kind)) for _ in range(choose.number(1, 4)))
        return Chain(name, f"type nat hook {hook} priority {priority}; policy accept;", rules)
    hook = "output" if kind == "route" else choose.tag(HOOKS)
    priority = choose.pick(PRIORITIES)
    policy = "drop" if choose.chance(22) else "accept"
    place = Place(hook, priority, kind)
    rules = tuple(rule(scene, place) for _ in range(choose.number(1, 6)))
    return Chain(name, f"type {kind} hook {hook} priority {priority}; policy {policy};", rules)


def table(choose: Chooser, pools: Pools, number: int) -> Table:
    """Return a table with base chains and chains to jump to."""
    family = choose.pick(("inet", "inet", "ip", "ip6"))
    scene = Scene(choose, pools, family)
    chains: list[Chain] = []
    for index in range(choose.number(0, 3)):
        place = Place("postrouting", 0)  # What holds at every hook: a subchain may be called from any of them.
        rules = tuple(_anywhere(scene, place) for _ in range(choose.number(1, 4)))
        chains.append(Chain(f"sub{index}", "", rules))
        scene.subchains.append(f"sub{index}")
    chains += [base_chain(scene, f"base{index}") for index in range(choose.number(1, 4))]
    flags = "dormant" if choose.chance(3) else ""
    return Table(family, f"t{number}", tuple(scene.sets), tuple(chains), flags)


def _anywhere(scene: Scene, place: Place) -> Rule:
    scene.begin_rule()
    kinds = {name: weight for name, (weight, _) in MATCHES.items() if name not in ("interface", "fib", "header")}
    parts = [MATCHES[scene.choose.tag(kinds)][1](scene, place) for _ in range(scene.choose.pick((1, 1, 2)))]
    last = ending(scene, place)
    return joined([*parts, last])


def draw_nft(choose: Chooser, pools: Pools) -> tuple[Table, ...]:
    """Return one to three tables."""
    return tuple(table(choose, pools, number) for number in range(choose.number(1, 3)))


def draw_round(choose: Chooser, shots: int = SHOTS) -> tuple[Ruleset, list[Shot]]:
    """Return a ruleset of nftables, of iptables, or of both, and the shots to try it with."""
    pools = draw_pools(choose)
    kind = choose.tag({"nft only": 60, "iptables only": 25, "nft and iptables": 15})
    tables = draw_nft(choose, pools) if kind != "iptables only" else ()
    xtables, ipsets = draw_xtables(choose, pools) if kind != "nft only" else ((), ())
    switches = dict([choose.pick(SWITCHED)]) if choose.chance(12) else {}
    return Ruleset(tables, xtables, ipsets, switches), draw_shots(choose, pools, shots)


@st.composite
def rounds(draw: st.DrawFn, shots: int = SHOTS) -> tuple[Ruleset, list[Shot]]:
    """Rulesets with the shots to try them with."""
    return draw_round(Drawn(draw), shots)
