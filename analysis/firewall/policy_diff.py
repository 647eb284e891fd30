"""What the declared policy and reality disagree about, in terms of who reaches what; and whom a policy would cut.

Not a comparison of texts: probes of every vantage that the policy or the network knows are followed through the real datapath, and what
comes of them is held against what the policy says of the same packets.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from analysis.firewall.addresses import span
from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Datapath
from analysis.firewall.policy import CONFIRMED, FAMILY, NAME, TRIAL, Decision, Expected, allowances
from analysis.firewall.policy_model import replaced
from analysis.firewall.probe import Answer, Probe, Verdict
from analysis.firewall.targets import counted
from analysis.firewall.vantages import Viewpoint, detached, viewpoints
from contracts.policy import LOOPBACK, MAX_PORT, Policy, network
from contracts.record import Record
from contracts.subjects.datapath import Vantage
from contracts.subjects.policy_drift import CLOSED, OPEN, UNDECIDED, Difference
from contracts.subjects.ports import Listener

MOST_PORTS = 400
"""More ports that listeners, rules and the policy name are not tried one by one; the first ones are."""
INTERNET = "internet"
_ANYBODY = ("0.0.0.0/0", "::/0")
_DPORT = re.compile(r"(?:\b(tcp|udp)\s+)?dports?\s+(?:!=\s*)?(\{[^}]*\}|\S+)")
_NUMBER = re.compile(r"\d+")
_STRANGE = 47111
_COMMENT = re.compile(rf'comment "({CONFIRMED}|{TRIAL}) ([0-9a-f]+)"')


class InForce(Record):
    """Which policies the kernel holds in our table, by digest; "" for none. A trial that has run out is none."""

    confirmed: str = ""
    trial: str = ""


class Comparison(Record):
    """All disagreements, and from where nothing could be judged because no route leads there (`office over IPv6`)."""

    differences: tuple[Difference, ...]
    not_judged: tuple[str, ...] = ()


class Target(Record):
    """A connection that must not be cut: `name` says whose."""

    name: str
    probe: Probe


class Cut(Record):
    """A connection that the policy would cut (or, with `certain` false, may cut), and by which rule."""

    name: str
    why: str
    chain: str
    certain: bool = True


def compare(
    policy: Policy, datapath: Datapath, vantages: Sequence[Vantage] = (), listening: Iterable[tuple[str, int]] = ()
) -> Comparison:
    """Return what `policy` and `datapath` disagree about, as seen from the policy's own zones and from `vantages`.

    `listening` are (protocol, port) that something listens on.
    """
    wanted = _vantages(policy, vantages)
    points = viewpoints(wanted, datapath, (), tuple(_spans(policy)))
    ports = _ports(policy, datapath, listening)
    questions = [
        (point, Probe(family=point.family, protocol=protocol, source=point.source, destination=address,
                      port=port, interface=point.interface))
        for point in points if point.interface
        for address in point.addresses
        for protocol in ("tcp", "udp")
        for port in ports.get(protocol, ())
    ]  # fmt: skip
    declared = Expected(policy)
    answers = evaluate(datapath, [probe for _, probe in questions])
    verdicts = answers.verdicts()
    found: dict[tuple[object, ...], list[_Found]] = {}
    for number, (point, probe) in enumerate(questions):
        change, services = _judge(declared.of(probe), verdicts[number])
        if not change:
            continue
        each = _Found(point, probe, change, services, answers.answer(number, steps=False))
        if not _speaks_of_another_port(declared, each):
            found.setdefault(each.group(), []).append(each)
    strange = {protocol: tried[-1] for protocol, tried in ports.items()}
    differences = sorted((_difference(group, strange) for group in found.values()), key=_order)
    known = {vantage.name for vantage in vantages} | {INTERNET}
    not_judged = (f"{name} over IPv{family}" for name, family in detached(wanted, points) if name not in known)
    return Comparison(differences=tuple(differences), not_judged=tuple(not_judged))


def reachable_ports(rows: Mapping[str, Listener]) -> set[tuple[str, int]]:
    """Return (protocol, port) of the listeners of this host that others may reach."""
    return {(row.protocol, row.port) for row in counted(rows).values() if row.scope != "loopback"}


def in_force(datapath: Datapath) -> InForce:
    """Return what the comments of our own rules say of the policies in force."""
    table = next((each for each in datapath.tables if (each.family, each.name) == (FAMILY, NAME)), None)
    if table is None or table.dormant or "input" not in table.chains:
        return InForce()
    found = dict(_COMMENT.findall("\n".join(rule.text for rule in table.chains["input"].rules)))
    lives = TRIAL in table.sets and bool(table.sets[TRIAL].elements)
    return InForce(confirmed=found.get(CONFIRMED, ""), trial=found.get(TRIAL, "") if lives else "")


def cuts(policy: Policy, datapath: Datapath, targets: Sequence[Target]) -> tuple[Cut, ...]:
    """Return which of `targets` would be cut if `policy` were in force instead of what our table holds now."""
    probes = [target.probe for target in targets]
    before = evaluate(datapath, probes).verdicts()
    after = evaluate(replaced(datapath, policy), probes)
    found = []
    for number, (target, verdict) in enumerate(zip(targets, after.verdicts(), strict=True)):
        if verdict is Verdict.REACHABLE or (verdict is Verdict.UNCERTAIN and before[number] is Verdict.UNCERTAIN):
            continue
        if verdict is Verdict.UNCERTAIN and Expected(policy).of(target.probe).verdict is Verdict.UNCERTAIN:
            continue  # its own rate limit, which the person declared
        answer = after.answer(number, steps=False)
        why, chain = _why(answer)
        found.append(Cut(name=target.name, why=why, chain=chain, certain=verdict is Verdict.BLOCKED))
    return tuple(found)


class _Found(NamedTuple):
    """One probe that policy and reality disagree about."""

    point: Viewpoint
    probe: Probe
    change: str
    services: tuple[str, ...]
    answer: Answer

    def group(self) -> tuple[object, ...]:
        """Return what probes that make one difference have in common."""
        probe, (why, chain) = self.probe, _why(self.answer)
        return (
            self.point.vantage,
            probe.family,
            probe.protocol,
            self.change,
            probe.destination,
            why,
            chain,
            self.services,
        )


def _judge(declared: Decision, verdict: Verdict) -> tuple[str, tuple[str, ...]]:
    """Return how reality differs from what is declared for one probe, "" when it does not, and the declared services."""
    services = (declared.service,) if declared.service else ()
    if declared.verdict is Verdict.BLOCKED:
        return {Verdict.BLOCKED: "", Verdict.REACHABLE: OPEN, Verdict.UNCERTAIN: UNDECIDED}[verdict], ()
    if verdict is Verdict.BLOCKED:
        return CLOSED, services
    if verdict is Verdict.UNCERTAIN and declared.verdict is Verdict.REACHABLE:
        return UNDECIDED, services
    return "", ()


def _speaks_of_another_port(declared: Expected, found: _Found) -> bool:
    """Say whether the packet is redirected on this host to a port that the policy lets in."""
    probe, answer = found.probe, found.answer
    if found.change == CLOSED or answer.forwarded or answer.port in (0, probe.port):
        return False
    delivered = Probe(
        family=probe.family,
        protocol=probe.protocol,
        source=probe.source,
        destination=probe.destination,
        port=answer.port,
        interface=probe.interface,
    )
    return declared.of(delivered).verdict is not Verdict.BLOCKED


def _vantages(policy: Policy, given: Sequence[Vantage]) -> tuple[Vantage, ...]:
    """Return from where to judge: the policy's zones and networks, the places that are judged anyway, the internet."""
    near: dict[str, tuple[str, ...]] = {}
    for each in given:
        near[each.interface] = (*near.get(each.interface, ()), *each.sources)
    found: dict[tuple[tuple[str, ...], str], Vantage] = {}

    def add(name: str, sources: tuple[str, ...], interface: str) -> None:
        found.setdefault((sources, interface), Vantage(name=name, sources=sources, interface=interface))

    for name, zone in policy.zones.items():
        for interface in zone.interfaces or ("",):
            add(name, zone.networks or near.get(interface, _ANYBODY), interface)
    for service in policy.services.values():
        for source in service.sources:
            if source not in policy.zones:
                add(source, (str(network(source)),), "")
    for each in given:
        if each.interface != LOOPBACK:
            add(each.name, each.sources, each.interface)
    add(INTERNET, _ANYBODY, "")
    return tuple(found.values())


def _spans(policy: Policy) -> Iterable[tuple[int, int, int]]:
    """Yield every network that the policy names, so that a vantage's anybody is in none of them."""
    for zone in policy.zones.values():
        yield from map(span, zone.networks)
    for service in policy.services.values():
        yield from (span(source) for source in service.sources if source not in policy.zones)


def _ports(policy: Policy, datapath: Datapath, listening: Iterable[tuple[str, int]]) -> dict[str, tuple[int, ...]]:
    """Return the ports to try by protocol; the last one of each is one that nothing names."""
    named = _named(datapath)
    tried: dict[str, tuple[int, ...]] = {}
    for protocol in ("tcp", "udp"):
        ranges = [each for allow in allowances(policy) if allow.protocol == protocol for each in allow.ports]
        wanted = dict.fromkeys(port for each in ranges for port in each)
        wanted.update(dict.fromkeys(port for kind, port in listening if kind == protocol))
        wanted.update(dict.fromkeys(sorted(named[protocol])))
        chosen = list(wanted)[:MOST_PORTS]
        strange = next(
            port
            for port in (*range(_STRANGE, MAX_PORT), *range(1, _STRANGE))
            if port not in wanted and not any(first <= port <= last for first, last in ranges)
        )
        tried[protocol] = (*sorted(chosen), strange)
    return tried


def _named(datapath: Datapath) -> dict[str, set[int]]:
    """Return the ports that rules name in their text, by protocol; where a rule does not say which, it is both."""
    found: dict[str, set[int]] = {"tcp": set(), "udp": set()}
    for table in datapath.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                for protocol, place in _DPORT.findall(rule.text):
                    ports = {int(word) for word in _NUMBER.findall(place) if len(word) <= 5}
                    for each in (protocol,) if protocol else found:
                        found[each] |= {port for port in ports if 1 <= port <= MAX_PORT}
    return found


def _difference(group: Sequence[_Found], strange: Mapping[str, int]) -> Difference:
    first = group[0]
    why, chain = _why(first.answer)
    protocol = first.probe.protocol
    ports = sorted({each.probe.port for each in group})
    return Difference(
        vantage=first.point.vantage,
        family=first.probe.family,
        protocol=protocol,
        change=first.change,
        address=first.probe.destination,
        ports=tuple(port for port in ports if port != strange[protocol]),
        others=strange[protocol] in ports,
        why=why,
        chain=chain,
        services=first.services,
        unknown=first.answer.unknown if first.change == UNDECIDED else (),
    )


def _why(answer: Answer) -> tuple[str, str]:
    """Return what decided, in one line, and where it stands."""
    if not answer.causes:
        return ("; ".join(answer.unknown) or "no rule refuses it"), ""
    cause = answer.causes[-1]
    place = f"{cause.family} {cause.table} {cause.chain}" if cause.table else ""
    return cause.text, place


def _order(each: Difference) -> tuple[object, ...]:
    return (
        (OPEN, CLOSED, UNDECIDED).index(each.change),
        each.vantage,
        each.family,
        each.protocol,
        each.address,
        each.ports,
    )
