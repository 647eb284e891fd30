"""The declared policy as nftables: a script that loads it as table `inet holdfast`, and what it says about one probe.

Both come from the same list of allowances, so that what is shown, loaded and compared is one thing. The script never touches another table.
While a policy is on trial, its chains are reached only as long as an element of the set `trial` lives; the kernel ends that by itself, and
what was confirmed before decides again (nft(8): `flags timeout`). Confirming deletes those elements in the same transaction that makes the
policy permanent: the kernel refuses all of it when the trial has run out.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address

from analysis.firewall.addresses import number, span
from analysis.firewall.probe import Probe, Verdict
from contracts.policy import LOOPBACK, Policy, Service, digest, network, port_range
from contracts.record import Record

FAMILY, NAME = "inet", "holdfast"
TABLE = f"{FAMILY} {NAME}"
CONFIRMED, TRIAL = "policy", "trial"
REMOVE = f"add table {TABLE}\ndelete table {TABLE}\n"
"""Removes the table whether it is there or not."""

_ICMP4 = "destination-unreachable, time-exceeded, parameter-problem"
_ICMP6 = (
    "destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-advert, nd-neighbor-solicit, "
    "nd-neighbor-advert, nd-redirect, mld-listener-query, mld2-listener-report"
)
"""What IPv4 and IPv6 do not work without: errors, path MTU discovery, neighbours and routers (RFC 4890, section 4.4)."""
LINK_LOCAL = IPv6Network("fe80::/10")
_PERIODS = {"second": "10s", "minute": "1m", "hour": "1h", "day": "1d"}
_MAX_SOURCES = 65535
_DENY = "everything else is refused"
DENY_RULE = f'counter drop comment "{_DENY}"'
DHCP_RULES = (
    "meta nfproto ipv4 udp sport 67 udp dport 68 accept",
    f"ip6 saddr {LINK_LOCAL} udp sport 547 udp dport 546 accept",
)


class Allow(Record):
    """Sources that may reach ports of one protocol: by one of `interfaces` (any when empty), from one of `networks` (any when empty).

    `family` is 4 or 6, or 0 for both, then without networks. `ports` are ranges, in order and apart. `rate` is as declared or "".
    """

    service: str
    family: int
    protocol: str
    ports: tuple[tuple[int, int], ...]
    interfaces: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    rate: str = ""
    burst: int = 5


class Decision(Record):
    """What the policy alone makes of a probe. `uncertain` stands for a rate limit; `why` is the deciding rule in nft's words."""

    verdict: Verdict
    why: str
    service: str = ""
    chain: str = ""


def allowances(policy: Policy) -> tuple[Allow, ...]:
    """Return what `policy` lets in, in the order of its rules."""
    return tuple(allow for name, service in policy.services.items() for allow in _allowances(policy, name, service))


def script(confirmed: Policy | None, trial: Policy | None = None, trial_s: int = 0) -> str:
    """Return the transaction that makes table `inet holdfast` hold `trial` for `trial_s` seconds and otherwise `confirmed`."""
    if confirmed is None and trial is None:
        return REMOVE
    return REMOVE + "\n".join(_table(confirmed, trial, trial_s)) + "\n"


def confirming(trial: Policy) -> str:
    """Return the transaction that makes `trial` permanent; the kernel refuses all of it when the trial has run out."""
    return f"delete element {TABLE} {TRIAL} {{ ipv4, ipv6 }}\n{script(trial)}"


def rule_counts(policy: Policy) -> dict[str, int]:
    """Return how many rules each chain holds that only the confirmed `policy` reaches."""
    counts = {f"{CONFIRMED}_input": sum(1 for _ in _input(CONFIRMED, policy))}
    return {**counts, f"{CONFIRMED}_forward": sum(1 for _ in _forward())} if policy.forward == "drop" else counts


class Expected:
    """What `policy` alone makes of probes; made once, asked often."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._allows = [
            (allow, [span(text) for text in allow.networks], _letting_in(allow)) for allow in allowances(policy)
        ]
        self._near: dict[tuple[str, int, str, str], list[tuple[tuple[tuple[int, int], ...], Decision]]] = {}

    def of(self, probe: Probe, forwarded: bool = False) -> Decision:
        """Return what becomes of `probe` as it is delivered: its destination and port after address translation.

        `forwarded` for a packet that leaves again for somebody else. What this host itself sends is always let through.
        """
        if forwarded:
            if self._policy.forward == "accept" or not probe.interface:
                return Decision(verdict=Verdict.REACHABLE, why="forward: accept")
            return Decision(verdict=Verdict.BLOCKED, why=DENY_RULE, chain=f"{TABLE} {CONFIRMED}_forward")
        chain = f"{TABLE} {CONFIRMED}_input"
        if probe.interface in ("", LOOPBACK):
            return Decision(verdict=Verdict.REACHABLE, why=f'iifname "{LOOPBACK}" accept', chain=chain)
        if self._policy.dhcp and _is_dhcp(probe):
            return Decision(verdict=Verdict.REACHABLE, why=DHCP_RULES[probe.family == 6], chain=chain)
        for ports, decision in self._towards(probe):
            if any(first <= probe.port <= last for first, last in ports):
                return decision
        return _DENIED

    def _towards(self, probe: Probe) -> list[tuple[tuple[tuple[int, int], ...], Decision]]:
        """Return what is let in from where `probe` comes, by ports; found once for each such place."""
        place = probe.protocol, probe.family, probe.interface, probe.source
        found = self._near.get(place)
        if found is None:
            family, source = number(probe.source)
            found = self._near[place] = [
                (allow.ports, decision)
                for allow, spans, decision in self._allows
                if _comes_by(allow, probe) and (not spans or any(k == family and a <= source <= b for k, a, b in spans))
            ]
        return found


_DENIED = Decision(verdict=Verdict.BLOCKED, why=DENY_RULE, chain=f"{TABLE} {CONFIRMED}_input")


def _letting_in(allow: Allow) -> Decision:
    verdict = Verdict.UNCERTAIN if allow.rate else Verdict.REACHABLE
    chain = f"{TABLE} {CONFIRMED}_input"
    return Decision(verdict=verdict, why=accept_rule(allow), service=allow.service, chain=chain)


def _allowances(policy: Policy, name: str, service: Service) -> Iterator[Allow]:
    plain = tuple(source for source in service.sources if source not in policy.zones)
    places: list[tuple[tuple[str, ...], tuple[str, ...]]] = [((), plain)] if plain or not service.sources else []
    zones = [policy.zones[source] for source in service.sources if source in policy.zones]
    places += [(zone.interfaces, zone.networks) for zone in zones]
    ports = _merged(port_range(text) for text in service.ports)
    for interfaces, networks in places:
        for family, chosen in _families(networks, service):
            for protocol in service.protocols:
                yield Allow(
                    service=name,
                    family=family,
                    protocol=protocol,
                    ports=ports,
                    interfaces=tuple(sorted(set(interfaces))),
                    networks=chosen,
                    rate=service.rate,
                    burst=service.burst,
                )


def _families(networks: Iterable[str], service: Service) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield each family (0: both) with its networks, without overlaps; a rate is counted per family."""
    wanted = {"ipv4": (4,), "ipv6": (6,)}.get(service.family, (4, 6))
    found = [network(text) for text in networks]
    if not found:
        yield from [(0, ())] if len(wanted) > 1 and not service.rate else [(family, ()) for family in wanted]
        return
    four = collapse_addresses(each for each in found if isinstance(each, IPv4Network))
    six = collapse_addresses(each for each in found if isinstance(each, IPv6Network))
    for family, chosen in ((4, tuple(map(str, four))), (6, tuple(map(str, six)))):
        if family in wanted and chosen:
            yield family, chosen


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return `ranges` in order, with those that touch or overlap made one: nft refuses overlaps within a set."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def _table(confirmed: Policy | None, trial: Policy | None, trial_s: int) -> Iterator[str]:
    yield f"table {TABLE} {{"
    if trial is not None:
        elements = ", ".join(f"{family} timeout {trial_s}s" for family in ("ipv4", "ipv6"))
        yield f"\tset {TRIAL} {{\n\t\ttypeof meta nfproto\n\t\tflags timeout\n\t\telements = {{ {elements} }}\n\t}}"
    policies = [(prefix, policy) for prefix, policy in ((TRIAL, trial), (CONFIRMED, confirmed)) if policy is not None]
    for prefix, policy in policies:
        yield from _rate_sets(prefix, policy)
    for hook in ("input", "forward"):
        if hook == "forward" and all(policy.forward == "accept" for _, policy in policies):
            continue
        yield f"\tchain {hook} {{\n\t\ttype filter hook {hook} priority filter; policy accept;"
        for prefix, policy in policies:
            condition = f"meta nfproto @{TRIAL} " if prefix == TRIAL else ""
            verdict = "accept" if hook == "forward" and policy.forward == "accept" else f"goto {prefix}_{hook}"
            yield f'\t\t{condition}{verdict} comment "{prefix} {digest(policy)}"'
        yield "\t}"
    for prefix, policy in policies:
        yield from _chain(f"{prefix}_input", _input(prefix, policy))
        if policy.forward == "drop":
            yield from _chain(f"{prefix}_forward", _forward())
    yield "}"


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"\tchain {name} {{"
    for rule in rules:
        yield f"\t\t{rule}"
    yield "\t}"


def _input(prefix: str, policy: Policy) -> Iterator[str]:
    yield f'iifname "{LOOPBACK}" accept'
    yield "ct state established,related accept"
    ping = ", echo-request" if policy.ping else ""
    yield f"icmp type {{ {_ICMP4}{ping} }} accept"
    yield f"icmpv6 type {{ {_ICMP6}{ping} }} accept"
    yield "ct state invalid drop"
    if policy.dhcp:
        yield from DHCP_RULES
    for allow in allowances(policy):
        if allow.rate:
            yield rate_rule(allow, prefix)
        yield accept_rule(allow)
    yield DENY_RULE


def _forward() -> Iterator[str]:
    yield "ct state established,related accept"
    yield DENY_RULE


def _rate_sets(prefix: str, policy: Policy) -> Iterator[str]:
    for name in sorted({_rate_set(prefix, allow) for allow in allowances(policy) if allow.rate}):
        family, service = name.rpartition("_")[2], policy.services[name.split("_", 2)[2].rpartition("_")[0]]
        kind = "ipv4_addr" if family == "4" else "ipv6_addr"
        timeout = _PERIODS[service.rate.partition("/")[2]]
        yield f"\tset {name} {{\n\t\ttype {kind}\n\t\tsize {_MAX_SOURCES}\n\t\tflags dynamic,timeout\n\t\ttimeout {timeout}\n\t}}"


def _rate_set(prefix: str, allow: Allow) -> str:
    return f"{prefix}_rate_{allow.service}_{allow.family}"


def rate_rule(allow: Allow, prefix: str = CONFIRMED) -> str:
    """Return the rule that drops what goes beyond the rate of `allow`."""
    source = "ip saddr" if allow.family == 4 else "ip6 saddr & ffff:ffff:ffff:ffff::"
    over = f"{source} limit rate over {allow.rate} burst {allow.burst} packets"
    return f'{_match(allow)} update @{_rate_set(prefix, allow)} {{ {over} }} drop comment "rate of {allow.service}"'


def accept_rule(allow: Allow) -> str:
    """Return the rule that lets in what `allow` names."""
    return f'{_match(allow)} accept comment "service {allow.service}"'


def _match(allow: Allow) -> str:
    parts = []
    if allow.interfaces:
        quoted = _set(f'"{name}"' for name in allow.interfaces)
        parts.append(f"iifname {quoted}")
    if allow.networks:
        parts.append(f"{'ip' if allow.family == 4 else 'ip6'} saddr {_set(allow.networks)}")
    elif allow.family:
        parts.append(f"meta nfproto ipv{allow.family}")
    ports = _set(str(first) if first == last else f"{first}-{last}" for first, last in allow.ports)
    return " ".join([*parts, f"{allow.protocol} dport {ports}"])


def _set(values: Iterable[str]) -> str:
    items = list(values)
    return items[0] if len(items) == 1 else f"{{ {', '.join(items)} }}"


def _comes_by(allow: Allow, probe: Probe) -> bool:
    return (
        allow.protocol == probe.protocol
        and allow.family in (0, probe.family)
        and (not allow.interfaces or probe.interface in allow.interfaces)
    )


def _is_dhcp(probe: Probe) -> bool:
    if probe.protocol != "udp":
        return False
    if probe.family == 4:
        return (probe.source_port, probe.port) == (67, 68)
    return (probe.source_port, probe.port) == (547, 546) and ip_address(probe.source) in LINK_LOCAL
