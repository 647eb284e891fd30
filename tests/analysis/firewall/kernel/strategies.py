"""Whole rulesets of nftables, or iptables, or both, biased so that rules hit the probes of the same round.

`draw_round` makes them from any `Chooser`; `rounds` is the hypothesis strategy of rulesets with their shots. Every choice carries the tag
under which decided probes are counted (`tags.py`).
"""

from ipaddress import ip_network

from hypothesis import strategies as st

from tests.analysis.firewall.kernel.choosing import Chooser, Drawn
from tests.analysis.firewall.kernel.nft_matches import MATCHES, match
from tests.analysis.firewall.kernel.nft_statements import ending, joined, nat_rule, rule
from tests.analysis.firewall.kernel.nft_values import Place, Scene
from tests.analysis.firewall.kernel.probing import Shot
from tests.analysis.firewall.kernel.rulesets import Chain, Rule, Ruleset, Table
from tests.analysis.firewall.kernel.scene import Pools, draw_pools, draw_shots
from tests.analysis.firewall.kernel.topology import ADDRESSES
from tests.analysis.firewall.kernel.xtables_strategies import draw_simple_xtables, draw_xtables

SHOTS = 40
HOOKS = {"prerouting": 22, "input": 40, "forward": 20, "output": 14, "postrouting": 8}
PRIORITIES = (-400, -300, -250, -150, -100, -50, 0, 0, 0, 1, 10, 50, 100, 225, 300)
SWITCHED = (
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv6.conf.all.forwarding", "0"),
    ("net.ipv4.conf.lan0.rp_filter", "1"),
    ("net.ipv4.conf.lan0.rp_filter", "2"),
    ("net.ipv4.conf.all.rp_filter", "1"),
    ("net.ipv4.conf.all.rp_filter", "2"),
    ("net.ipv4.conf.wan0.route_localnet", "1"),
)


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
    return Table(family, f"t{number}", tuple(scene.sets), tuple(chains))


def device_table(choose: Chooser, pools: Pools, number: int) -> Table:
    """Return a table whose chains see what a device takes in or gives out, before and after all others."""
    scene = Scene(choose, pools, "netdev")
    chains = []
    for index in range(choose.number(1, 2)):
        hook = choose.tag({"hook ingress": 8, "hook egress": 3}).removeprefix("hook ")
        device, priority = choose.pick(("wan0", "lan0", "wan0", "lan0", "br0")), choose.pick((-500, 0, 10))
        policy = "drop" if choose.chance(15) else "accept"
        rules = []
        for _ in range(choose.number(1, 5)):
            scene.begin_rule()
            kinds = {name: MATCHES[name][0] for name in ("address", "port", "mark", "protocol", "flags", "raw")}
            place = Place(hook, priority)
            parts = [MATCHES[choose.tag(kinds)][1](scene, place) for _ in range(choose.pick((1, 1, 2)))]
            made = joined([*parts, ending(scene, place)])
            rules.append(Rule(made.text, (f"hook {hook}", *made.tags)))
        base = f"type filter hook {hook} device {device} priority {priority}; policy {policy};"
        chains.append(Chain(f"dev{index}", base, tuple(rules)))
    return Table("netdev", f"t{number}", tuple(scene.sets), tuple(chains))


def _anywhere(scene: Scene, place: Place) -> Rule:
    scene.begin_rule()
    kinds = {name: weight for name, (weight, _) in MATCHES.items() if name not in ("interface", "fib", "header")}
    parts = [MATCHES[scene.choose.tag(kinds)][1](scene, place) for _ in range(scene.choose.pick((1, 1, 2)))]
    last = ending(scene, place)
    return joined([*parts, last])


def simple_table(choose: Chooser, pools: Pools) -> Table:
    """Return a table with one chain of a few rules, each with one condition and a verdict, so that every condition decides a lot."""
    scene = Scene(choose, pools, choose.pick(("inet", "inet", "ip", "ip6")))
    hook = choose.tag({"prerouting": 20, "input": 40, "forward": 10, "output": 15})
    place = Place(hook, choose.pick((-150, 0)))
    rules = []
    for _ in range(choose.number(1, 3)):
        scene.begin_rule()
        final = choose.pick(("accept", "drop"))
        rules.append(joined([match(scene, place), (final, (f"verdict {final}",))]))
    policy = choose.pick(("accept", "drop"))
    base = f"type filter hook {hook} priority {place.priority}; policy {policy};"
    return Table(scene.family, "t0", tuple(scene.sets), (Chain("base0", base, tuple(rules)),))


def draw_nft(choose: Chooser, pools: Pools) -> tuple[Table, ...]:
    """Return one to three tables."""
    tables = [table(choose, pools, number) for number in range(choose.number(1, 3))]
    if choose.tag({"no device": 92, "device": 8}) == "device":
        tables.append(device_table(choose, pools, len(tables)))
    return tuple(tables)


def draw_routing(choose: Chooser, pools: Pools) -> tuple[str, ...]:
    """Return additions to the routing of one family: a route, or a rule of policy routing with a table to look in."""
    family = choose.pick((4, 6))
    source = choose.pick(pools.sources[family])
    length = choose.pick((24, 32) if family == 4 else (48, 128))
    network = ip_network(f"{source}/{length}", strict=False)
    lan = ADDRESSES["lan"][family][0]
    away = choose.pick(("blackhole", "unreachable", "prohibit"))
    if choose.chance(30):
        return (f"{family} route add {away} {network} metric 5",)
    mark = choose.pick(pools.marks)
    selector = choose.pick(
        (f"fwmark {mark:#x}", f"fwmark {mark:#x}/0xf", f"from {network}", f"to {network}", "iif lan0", "iif lo")
    )
    if choose.chance(25):
        return (f"{family} rule add {selector} pref 100 {away}",)
    route = choose.pick((f"{away} default", f"default via {lan} dev lan0", f"{away} {network}", "local default dev lo"))
    return f"{family} rule add {selector} pref 100 lookup 100", f"{family} route add {route} table 100"


def draw_round(choose: Chooser, shots: int = SHOTS) -> tuple[Ruleset, list[Shot]]:
    """Return a ruleset of nftables, of iptables, or of both, and the shots to try it with."""
    pools = draw_pools(choose)
    kind = choose.tag(
        {"nft only": 52, "iptables only": 22, "nft and iptables": 14, "simple nft": 6, "simple iptables": 6}
    )
    nft = kind.startswith("nft")
    tables = draw_nft(choose, pools) if nft else (simple_table(choose, pools),) if kind == "simple nft" else ()
    xtables, ipsets = draw_xtables(choose, pools) if kind in ("iptables only", "nft and iptables") else ((), ())
    if kind == "simple iptables":
        xtables, ipsets = draw_simple_xtables(choose, pools)
    switches = dict([choose.pick(SWITCHED)]) if choose.chance(12) else {}
    routing = draw_routing(choose, pools) if choose.chance(15) else ()
    return Ruleset(tables, xtables, ipsets, switches, routing), draw_shots(choose, pools, shots)


@st.composite
def rounds(draw: st.DrawFn, shots: int = SHOTS) -> tuple[Ruleset, list[Shot]]:
    """Rulesets with the shots to try them with."""
    return draw_round(Drawn(draw), shots)
