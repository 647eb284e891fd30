"""Rules: strict arguments, dry run first, bounded, and never answering themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.responder import Deed, Responder, Unfit, fill
from agent.settings import Rate, Rule
from contracts.action import Command
from contracts.event import Envelope, Event, Severity

BLOCK = Deed(action="block", worker="netfilter", arguments={"address": "str", "seconds": "int"})


class Clock:
    seconds = 0.0

    def now_ms(self) -> int:
        return round(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


class Bench:
    def __init__(self, *rules: Rule) -> None:
        self.clock = Clock()
        self.ran: list[tuple[Command, str, frozenset[str]]] = []
        self.responder = Responder(rules, {"block": BLOCK}, self.run, self.clock, lambda: "id")

    def run(self, deed: Deed, command: Command, rule: str, trail: frozenset[str]) -> None:
        self.ran.append((command, rule, trail))

    def meet(
        self, kind: str = "ports.listener_opened", trail: frozenset[str] = frozenset(), **fields: object
    ) -> list[str]:
        event = Event(kind=kind, key="k", severity=Severity.LOW, fields=dict(fields))  # type: ignore[arg-type]
        envelope = Envelope(id="cause", agent="a", lane=event.lane, seq=1, event=event)
        return [said.kind for said in self.responder.respond([envelope], trail)]


def rule(**more: object) -> Rule:
    base: dict[str, object] = {"when": "ports.*", "do": "block", "arguments": {"address": "{address}", "seconds": 60}}
    return Rule(**{**base, **more})  # type: ignore[arg-type]


def test_a_matching_event_runs_the_action_with_its_fields() -> None:
    bench = Bench(rule(dry_run=False))
    assert bench.meet(address="192.0.2.7") == []
    command, name, trail = bench.ran[0]
    assert (command.arguments, command.cause, command.dry_run) == (
        {"address": "192.0.2.7", "seconds": 60},
        "cause",
        False,
    )
    assert (name, trail) == ("rules[0]", {"rules[0]"})
    assert command.event is not None and command.event.fields == {"address": "192.0.2.7"}


def test_a_rule_is_in_dry_run_unless_it_says_otherwise() -> None:
    bench = Bench(rule())
    bench.meet(address="192.0.2.7")
    assert bench.ran[0][0].dry_run


def test_what_does_not_match_runs_nothing() -> None:
    bench = Bench(rule(match={"port": 22}))
    bench.meet("firewall.flushed", address="192.0.2.7")
    bench.meet(address="192.0.2.7", port=23)
    assert not bench.ran


def test_an_event_without_the_field_is_a_stated_failure_not_a_guess() -> None:
    bench = Bench(rule(dry_run=False))
    assert bench.meet(port=22) == ["agent.action_failed"]
    assert bench.meet(address=5) == ["agent.action_failed"]
    assert not bench.ran


def test_a_rule_does_not_answer_what_it_caused() -> None:
    bench = Bench(rule(when="*"), rule(when="*", dry_run=False))
    bench.meet(address="192.0.2.7", trail=frozenset({"rules[0]"}))
    assert [(name, trail) for _, name, trail in bench.ran] == [("rules[1]", {"rules[0]", "rules[1]"})]
    bench.meet(address="192.0.2.7", trail=frozenset({"rules[0]", "rules[1]"}))
    assert len(bench.ran) == 1


def test_a_rule_rests_at_its_limit_and_says_so_once() -> None:
    bench = Bench(rule(at_most=Rate(times=2, per=60)))
    said = [bench.meet(address="192.0.2.7") for _ in range(5)]
    assert said == [[], [], ["agent.action_held_back"], [], []]
    assert len(bench.ran) == 2
    bench.clock.seconds = 61
    assert bench.meet(address="192.0.2.7") == []
    assert len(bench.ran) == 3


def test_a_reload_does_not_reset_the_limit_of_an_unchanged_rule() -> None:
    limited = rule(at_most=Rate(times=1, per=60))
    bench = Bench(limited)
    bench.meet(address="192.0.2.7")
    bench.responder.reconfigure([limited], {"block": BLOCK})
    bench.meet(address="192.0.2.7")
    assert len(bench.ran) == 1


@pytest.mark.parametrize(
    ("template", "types", "expected"),
    [
        ({"a": "{port}"}, {"a": "int"}, {"a": 22}),
        ({"a": "port {port} of {key}"}, {"a": "str"}, {"a": "port 22 of k"}),
        ({"a": ("{port}", "x")}, {"a": "list"}, {"a": ["22", "x"]}),
        ({"a": "{severity}"}, {"a": "str"}, {"a": "low"}),
        ({"a": 3}, {"a": "float"}, {"a": 3}),
    ],
)
def test_references_keep_their_type_alone_and_become_text_within_text(
    template: dict[str, object], types: dict[str, str], expected: dict[str, object]
) -> None:
    event = Event(kind="ports.listener_opened", key="k", severity=Severity.LOW, fields={"port": 22})
    assert fill(template, types, event) == expected


@pytest.mark.parametrize(
    ("value", "kind"), [("{port}", "str"), (True, "int"), ("x", "int"), ("{none}", "str"), (1, "bool")]
)
def test_another_type_than_declared_is_refused(value: object, kind: str) -> None:
    event = Event(kind="ports.listener_opened", key="k", severity=Severity.LOW, fields={"port": 22})
    with pytest.raises(Unfit):
        fill({"a": value}, {"a": kind}, event)


@given(st.text(max_size=40))
def test_a_hostile_field_is_only_ever_a_value(text: str) -> None:
    event = Event(kind="x.y", key=text, severity=Severity.LOW, fields={"name": text})
    assert fill({"a": "{name}"}, {"a": "str"}, event) == {"a": text}
    assert fill({"a": "<{name}>"}, {"a": "str"}, event) == {"a": f"<{text}>"}


def test_a_rule_for_an_action_that_is_switched_off_rests() -> None:
    bench = Bench(rule(dry_run=False), rule(do="notify", arguments={}))
    bench.responder.reconfigure([rule(dry_run=False), rule(do="notify", arguments={})], {})
    assert bench.meet(address="192.0.2.7") == []
    assert not bench.ran
