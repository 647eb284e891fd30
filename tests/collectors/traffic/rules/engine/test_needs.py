"""Needs: a pair that fails here fails in the rule's own tests, and one that passes has header, direction and state."""

import itertools

import numpy as np
import pytest

from collectors.traffic.rules.engine import needs
from collectors.traffic.rules.engine.evaluate import Evaluator
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.needs import Needs
from collectors.traffic.rules.engine.plan import Compiled
from collectors.traffic.rules.engine.prepared import Later
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.engine.state import Memory
from collectors.traffic.rules.language.rule import FieldTest
from tests.collectors.traffic.rules.engine import scene

HEADERS = [
    "tcp any any -> any any",
    "udp any any -> any 9999",
    "ip 10.0.0.1 any <> any 9999",
    "ipv6 any any -> any any",
]
FLOWS = ["", "flow:to_server;", "flow:to_client,established;", "flow:not_established;"]
SIZES = ["", "dsize:3;", "dsize:>3;", "dsize:2<>5;", "dsize:<4;", "dsize:!3;"]
LINES = [
    f"alert {header} ({flow} {size} msg:\"x\"; ttl:64;)" for header, flow, size in itertools.product(HEADERS, FLOWS, SIZES)
]  # fmt: skip


@pytest.fixture(name="compiled", scope="module")
def _compiled() -> tuple[HeaderSets, list[Compiled]]:
    sets = HeaderSets()
    return sets, [Compiled(rule, sets, Later) for rule in scene.rules(*LINES)]


def test_pairs_are_as_the_rules_own_tests_have_them(compiled: tuple[HeaderSets, list[Compiled]]) -> None:
    sets, rules = compiled
    talk = scene.Talk(dport=9999).ask(b"abc").answer(b"abcde").close()
    rows = scene.rows(scene.fed([*talk.packets, scene.udp(b"ab"), scene.udp_back(b"abc"), scene.udp(b"abcd")]))
    asked = Needs(needs.table(rules), HeaderKinds(sets, range(len(sets.addresses))))
    pairs = list(itertools.product(range(len(rows)), range(len(rules))))
    found = asked.of(rows, np.array([row for row, _ in pairs]), np.array([rule for _, rule in pairs]))
    evaluator = Evaluator(sets, Memory())
    fits = [evaluator._fits(rules[rule], rows.packet(row)) for row, rule in pairs]
    wanted = [
        fit and _size(rules[rule], rows.packet(row).payload) for fit, (row, rule) in zip(fits, pairs, strict=True)
    ]
    assert found.tolist() == wanted
    assert any(wanted) and not all(wanted)


def _size(one: Compiled, payload: bytes) -> bool:
    tests = [test.number for test in one.rule.tests if isinstance(test, FieldTest) and test.name == "dsize"]
    return all(number.holds(len(payload)) for number in tests if number.op != "!=")
