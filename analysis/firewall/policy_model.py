"""The declared policy in the evaluator's own terms: the datapath as it would be if a policy were in force, without loading anything."""

from collections.abc import Iterable, Iterator

import msgspec

from analysis.firewall import policy as rendering
from analysis.firewall.addresses import span
from analysis.firewall.model import (
    Base,
    Chain,
    Constant,
    Datapath,
    Element,
    Field,
    Key,
    Match,
    Maybe,
    Members,
    Name,
    Rule,
    Span,
    Statement,
    Table,
    Verdict,
)
from analysis.firewall.policy import Allow
from contracts.policy import LOOPBACK, Policy

_INVALID, _ESTABLISHED_OR_RELATED = 1, 6
_NFPROTO = {4: 2, 6: 10}
_ACCEPT, _DROP = Verdict("accept"), Verdict("drop")


def replaced(datapath: Datapath, policy: Policy) -> Datapath:
    """Return `datapath` with table `inet holdfast` as confirming `policy` would leave it, and everything else as it is."""
    others = tuple(each for each in datapath.tables if (each.family, each.name) != (rendering.FAMILY, rendering.NAME))
    return msgspec.structs.replace(datapath, tables=(*others, table(policy)), cache={})


def table(policy: Policy) -> Table:
    """Return the table that `analysis.firewall.policy.script` renders, as far as it concerns TCP and UDP."""
    chains = [_base("input"), Chain(name="policy_input", rules=tuple(_input(policy)))]
    if policy.forward == "drop":
        chains += [_base("forward"), Chain(name="policy_forward", rules=tuple(_forward()))]
    return Table(family=rendering.FAMILY, name=rendering.NAME, chains={chain.name: chain for chain in chains})


def _base(hook: str) -> Chain:
    target = f"policy_{hook}"
    rule = Rule(statements=(Verdict("goto", target),), text=f"goto {target}")
    return Chain(name=hook, rules=(rule,), base=Base(kind="filter", hook=hook, priority=0))


def _input(policy: Policy) -> Iterator[Rule]:
    loopback = Match(Field("meta iifname"), "==", Name(LOOPBACK))
    yield Rule(statements=(loopback, _ACCEPT), text=f'iifname "{LOOPBACK}" accept')
    yield _known()
    invalid = Match(Field("ct state"), "any", Constant(_INVALID))
    yield Rule(statements=(invalid, _DROP), text="ct state invalid drop")
    if policy.dhcp:
        yield from _dhcp()
    for allow in rendering.allowances(policy):
        matches = tuple(_matches(allow))
        if allow.rate:
            words = f"limit rate over {allow.rate} of service {allow.service}"
            yield Rule(statements=(*matches, Maybe(words), _DROP), text=rendering.rate_rule(allow))
        yield Rule(statements=(*matches, _ACCEPT), text=rendering.accept_rule(allow))
    yield _deny()


def _forward() -> Iterator[Rule]:
    yield _known()
    yield _deny()


def _known() -> Rule:
    match = Match(Field("ct state"), "any", Constant(_ESTABLISHED_OR_RELATED))
    return Rule(statements=(match, _ACCEPT), text="ct state established,related accept")


def _deny() -> Rule:
    return Rule(statements=(_DROP,), text=rendering.DENY_RULE)


def _dhcp() -> Iterator[Rule]:
    four = Match(Field("meta nfproto"), "==", _one(_NFPROTO[4]))
    ports = (Match(Field("udp sport"), "==", _one(67)), Match(Field("udp dport"), "==", _one(68)))
    yield Rule(statements=(four, *ports, _ACCEPT), text=rendering.DHCP_RULES[0])
    local = Match(Field("ip6 saddr"), "==", _network(str(rendering.LINK_LOCAL)))
    ports = (Match(Field("udp sport"), "==", _one(547)), Match(Field("udp dport"), "==", _one(546)))
    yield Rule(statements=(local, *ports, _ACCEPT), text=rendering.DHCP_RULES[1])


def _matches(allow: Allow) -> Iterator[Statement]:
    if allow.interfaces:
        yield Match(Field("meta iifname"), "==", _among(Name(name) for name in allow.interfaces))
    if allow.networks:
        field = "ip saddr" if allow.family == 4 else "ip6 saddr"
        yield Match(Field(field), "==", _among(_network(text) for text in allow.networks))
    elif allow.family:
        yield Match(Field("meta nfproto"), "==", _one(_NFPROTO[allow.family]))
    yield Match(Field(f"{allow.protocol} dport"), "==", _among(Span(first, last) for first, last in allow.ports))


def _among(keys: Iterable[Key]) -> Members:
    return Members(tuple(Element(key) for key in keys))


def _one(value: int) -> Span:
    return Span(value, value)


def _network(text: str) -> Span:
    _, low, high = span(text)
    return Span(low, high)
