"""Rounds of iptables against the kernel: many conditions in one ruleset, each on a port of its own, with both back ends."""

from collections.abc import Iterable, Iterator, Sequence

from tests.analysis.firewall.front_ends.judging import Bench, Picture, shots
from tests.analysis.firewall.kernel.probing import Shot
from tests.analysis.firewall.kernel.topology import PORTS

TOOLS = {4: ("iptables-nft", "iptables-legacy"), 6: ("ip6tables-nft", "ip6tables-legacy")}
SOURCES = {
    4: ("203.0.113.5", "203.0.113.200", "198.51.100.7"),
    6: ("2001:db8:77::5", "2001:db8:77::200", "2001:db8:99::7"),
}
HOOKS = {
    "raw": "PREROUTING OUTPUT",
    "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING",
    "nat": "PREROUTING INPUT OUTPUT POSTROUTING",
    "filter": "INPUT FORWARD OUTPUT",
}


def script(lines: Iterable[str], chains: Sequence[str] = ()) -> str:
    """Return what iptables-restore takes: each line begins with its table; `chains` are user-defined ones of filter and nat."""
    found: dict[str, list[str]] = {}
    for line in lines:
        table, _, rule = line.partition(" ")
        found.setdefault(table, []).append(rule)
    text = ""
    for table, rules in found.items():
        own = chains if table in ("filter", "nat") else ()
        heads = [f":{hook} ACCEPT [0:0]" for hook in HOOKS[table].split()] + [f":{chain} - [0:0]" for chain in own]
        text += "\n".join([f"*{table}", *heads, *rules, "COMMIT", ""])
    return text


def probes(version: int) -> list[Shot]:
    """Return probes of one family from everywhere to everything that listens in the host."""
    found = shots() + shots(
        senders=("internet",), sources=SOURCES[version], destinations=("192.0.2.11", "2001:db8:2::11")
    )
    return [shot for shot in found if shot.probe.family == version]


def rounds(conditions: Sequence[str]) -> Iterator[tuple[list[str], dict[str, int]]]:
    """Yield for as many conditions as there are ports the rules that drop by them, and the port of each."""
    for start in range(0, len(conditions), len(PORTS)):
        ports = dict(zip(conditions[start : start + len(PORTS)], PORTS, strict=False))
        yield (
            [
                f"filter -A INPUT -p {protocol} -m {protocol} --dport {port} {condition} -j DROP"
                for condition, port in ports.items()
                for protocol in ("tcp", "udp")
            ],
            ports,
        )


def play(
    bench: Bench, version: int, conditions: Sequence[str], before: Iterable[str] = (), ipset: str = ""
) -> Iterator[tuple[str, dict[str, int], Picture]]:
    """Yield for each round and tool its ports by condition, and what became of the probes; kernel and evaluator agree in all of them."""
    for tool in TOOLS[version]:
        for rules, ports in rounds(conditions):
            bench.load((f"{tool}-restore", script([*before, *rules])), ipset=ipset)
            picture = bench.judge(probes(version))
            picture.assert_agreed()
            yield tool, ports, picture


def assert_decided(bench: Bench, version: int, conditions: Sequence[str], *before: str, ipset: str = "") -> None:
    """Fail unless every probe is decided, as the kernel decides it, and the conditions neither all match nor all fail."""
    verdicts = set()
    for tool, ports, picture in play(bench, version, conditions, before, ipset):
        open_ones = [one for one in picture.judged if one not in picture.decided]
        assert not open_ones, f"{tool} {ports}: {open_ones[0]}"
        verdicts |= {one.answer.verdict for one in picture.judged}
    assert len(verdicts) == 2
