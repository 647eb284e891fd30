"""What rules of nftables do: verdicts, maps of verdicts, marks, sets, address translation."""

from collections.abc import Callable

from tests.analysis.firewall.kernel.nft_matches import concat_elements, concat_parts, match
from tests.analysis.firewall.kernel.nft_values import (
    KINDS,
    PLACES,
    Piece,
    Place,
    Scene,
    address_spans,
    port_spans,
    span_text,
    verdict,
)
from tests.analysis.firewall.kernel.rulesets import Rule


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
        return f"ct state vmap {{ established : accept, new : {verdict(scene, place)[0]}, invalid : drop }}", (
            "anonymous vmap",
            "ct state",
        )
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
    if not place.tracked and place.hook in ("prerouting", "output"):
        kinds["notrack"] = 14
    if scene.choose.chance(3):
        layer = "ip" if scene.version() == 4 else "ip6"
        final = scene.choose.pick(("drop", "accept"))
        return f"{layer} dscp set cs1 {layer} dscp {scene.choose.pick(('', '!= '))}cs1 {final}", ("dscp set",)
    if scene.choose.chance(4):
        name = scene.name("d")
        version, where = scene.version(), scene.choose.pick(("saddr", "daddr"))
        left = f"{'ip' if version == 4 else 'ip6'} {where}"
        scene.sets.append(f"set {name} {{ type {KINDS[version]}; flags dynamic; size 65535; timeout 1h; }}")
        word = scene.choose.pick(("add", "update"))
        nobody = "0.0.0.0" if version == 4 else "::"
        text = f"{left} != {nobody} {word} @{name} {{ {left} }} {left} @{name} drop"
        return text, ("update set", "verdict drop")
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
        {
            "dnat": 8, "dnat with port": 10, "redirect": 8, "dnat map": 5, "dnat map with port": 5, "redirect map": 4,
            "dnat prefix": 3, "dnat named map": 4,
        }
    )  # fmt: skip
    texts: dict[str, Callable[[], str]] = {
        "dnat": lambda: f"{protocol} dport {ports[0]} dnat {word}to {target()}",
        "dnat with port": lambda: f"{protocol} dport {ports[0]} dnat {word}to {bracketed(target(), aim())}",
        "redirect": lambda: f"{protocol} dport {{ {', '.join(ports)} }} redirect to :{aim()}",
        "dnat map": lambda: f"dnat {word}to {protocol} dport map {{ {', '.join(f'{p} : {target()}' for p in ports)} }}",
        "dnat map with port": lambda: (
            f"dnat {word}to {protocol} dport map {{ {', '.join(f'{p} : {target()} . {aim()}' for p in ports)} }}"
        ),
        "redirect map": lambda: (
            f"meta l4proto {protocol} redirect to :{protocol} dport map {{ {', '.join(f'{p} : {aim()}' for p in ports)} }}"
        ),
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
        scene.sets.append(
            f"map {name} {{ type inet_service : {kind} . inet_service; {flags}elements = {{ {elements} }}; }}"
        )
        return f"dnat {word}to {protocol} dport map @{name}", (form,)
    return texts[form](), (form,)
