"""Loading is not enough: bytes made from the words of random rules pass their tests, and with one byte changed they do not."""

import random
from pathlib import Path

import pytest

from collectors.traffic.rules.language.rule import BufferTest, Rule
from collectors.traffic.rules.language.ruleset import load
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from collectors.traffic.rules.matching.transforms import changes
from tests.collectors.traffic.rules.synthesis import Layout, Unmade, altered, layout

ET_OPEN = Path(__file__).resolve().parents[5] / "shared" / "peers" / "et-open"
ATTEMPTS = 40
SAMPLE = 700
PREFIXED = {
    "dotprefix": lambda data: data.removeprefix(b"."),
    "url_decode": lambda data: data.replace(b"%", b"%25").replace(b"+", b"%2b"),
}


def made(test: BufferTest, seed: random.Random) -> tuple[bytes, Layout] | None:
    """Return bytes that pass, as they are after the transforms."""
    matcher = Matcher(test)
    for _ in range(ATTEMPTS):
        try:
            found = layout(test, seed)
            data = found.finish()
        except Unmade:
            continue
        if matcher.transformed(data, State()):
            return data, found
    return None


def parts_of(rule: Rule) -> list[BufferTest]:
    return [test for test in (rule.payload, *rule.buffers) if test is not None]


@pytest.fixture(scope="module")
def sample() -> list[Rule]:
    rules = load(sorted(ET_OPEN.glob("*.rules"))).rules
    return random.Random(20261122).sample([rule for rule in rules if parts_of(rule)], SAMPLE)


def test_made_bytes_pass_and_a_changed_byte_does_not(sample: list[Rule]) -> None:
    seed = random.Random(7)
    whole, unmade, unmoved = 0, [], []
    for rule in sample:
        made_all, moved = True, True
        for test in parts_of(rule):
            found = made(test, seed)
            if found is None:
                made_all = False
                break
            data, places = found
            matcher = Matcher(test)
            if places.spans and all(matcher.transformed(one, State()) for one in altered(data, places)):
                moved = False
        if not made_all:
            unmade.append(rule.sid)
        elif not moved:
            unmoved.append(rule.sid)
        else:
            whole += 1
    print(f"{whole} of {len(sample)} rules made; not made: {unmade}; not moved by a byte: {unmoved}")
    assert unmoved == []
    assert whole >= 0.98 * len(sample)


def test_transforms_can_be_undone_for_the_way_to_the_wire(sample: list[Rule]) -> None:
    for rule in sample:
        for test in rule.buffers:
            if len(test.transforms) == 1 and test.transforms[0].name == "dotprefix":
                change = changes(test.transforms)
                assert change is not None and change(PREFIXED["dotprefix"](b".a.example")) == b".a.example"
