"""Routing: the longest prefix, rules by priority, types of addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.firewall.model import Link, Network, Route, RoutingRule, Span
from analysis.firewall.network import Flow, Router
from analysis.firewall.values import network


def way(low: int, length: int, device: str = "eth0", **more: object) -> Route:
    first, last = network(low, length, 32)
    return Route(
        family=4, low=first, high=last, length=length, device=device, devices=(device,), **{"table": 254, **more}
    )  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), min_size=1, max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_the_longest_prefix_wins(prefixes: list[tuple[int, int]], target: int) -> None:
    routes = tuple(way(low, length) for low, length in prefixes)
    found = Router(Network(routes=routes)).lookup(Flow(4, target))
    covering = [route.length for route in routes if route.low <= target <= route.high]
    assert (found.kind, found.length) == ((1, max(covering)) if covering else (0, 0))


def test_of_equal_prefixes_the_smaller_metric_wins() -> None:
    router = Router(Network(routes=(way(0, 0, "slow", metric=100), way(0, 0, "fast", metric=5))))
    assert router.lookup(Flow(4, 1)).devices == ("fast",)


@pytest.mark.parametrize(
    ("rule", "flow", "device"),
    [
        (RoutingRule(family=4, priority=5, table=7, mark=5, mask=0xFF), Flow(4, 9, mark=0x105), "odd"),
        (RoutingRule(family=4, priority=5, table=7, mark=5, mask=0xFF), Flow(4, 9, mark=6), "eth0"),
        (RoutingRule(family=4, priority=5, table=7, iif="lo"), Flow(4, 9), "odd"),
        (RoutingRule(family=4, priority=5, table=7, source=Span(1, 5), inverted=True), Flow(4, 9, source=3), "eth0"),
        (RoutingRule(family=4, priority=5, table=7, suppress_length=0), Flow(4, 9), "eth0"),
        (RoutingRule(family=4, priority=5, action="goto", target=32766), Flow(4, 9), "eth0"),
        (RoutingRule(family=4, priority=5, table=7, destination_ports=Span(80, 90)), Flow(4, 9, destination_port=85), "odd"),
    ],
)  # fmt: skip
def test_rules_choose_the_table(rule: RoutingRule, flow: Flow, device: str) -> None:
    routes = (way(0, 0), way(0, 0, "odd", table=7))
    rules = (rule, RoutingRule(family=4, priority=32766, table=254))
    assert Router(Network(routes=routes, rules=rules)).lookup(flow).devices == (device,)


def test_a_rule_that_is_not_understood_makes_unsure_unless_it_certainly_does_not_apply() -> None:
    strange = RoutingRule(family=4, priority=5, table=7, source=Span(1, 5), unsure="uidrange")
    router = Router(Network(routes=(way(0, 0),), rules=(strange, RoutingRule(family=4, priority=9, table=254))))
    assert "uidrange" in router.lookup(Flow(4, 9, source=3)).unsure
    assert router.lookup(Flow(4, 9, source=6)).unsure == ""


def test_a_rule_that_goes_to_itself_does_not_hang() -> None:
    rules = tuple(RoutingRule(family=4, priority=5, action="goto", target=5) for _ in range(5))
    assert Router(Network(rules=rules)).lookup(Flow(4, 9)).kind == 0


def test_own_addresses_are_local_on_whatever_link_and_unicast_for_another_one() -> None:
    router = Router(Network(links={"eth0": Link(name="eth0", addresses=((0x0A000001, 24, 0x0A0000FF, 4, "global"),))}))
    assert router.type_of(4, 0x0A000001) == 2
    assert router.type_of(4, 0x0A000001, "eth1") == 1
    assert router.type_of(4, 0x0A0000FF) == 3
    assert [router.type_of(4, one) for one in (0xE0000001, 0xFFFFFFFF, 0)] == [5, 3, 3]


def test_switches_of_a_link_and_of_all() -> None:
    router = Router(Network(switches={"net.ipv4.conf.all.rp_filter": "2", "net.ipv4.conf.eth0.rp_filter": "1", "net.ipv4.ip_forward": "1",
                                      "net.ipv4.conf.eth0.forwarding": "0", "net.ipv4.conf.eth0.accept_local": "odd"}))  # fmt: skip
    assert router.rp_filter("eth0") == 2
    assert (router.forwards(4, "eth0"), router.forwards(4, "eth1"), router.forwards(6, "eth0")) == (False, True, False)
    assert not router.any_of("eth0", "accept_local")
