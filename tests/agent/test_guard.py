"""The guard's rules: none unless enabled, and then for everything that opens the firewall."""

import pytest
from msgspec.structs import replace

from agent.guard import rules
from agent.responder import Deed, Responder
from agent.settings import GuardSettings, Rate
from collectors.firewall.events import happened
from contracts.action import Command
from contracts.event import Envelope, Event, Severity
from contracts.snapshot import compare
from contracts.subjects.firewall import Row

RESTORE = Deed(action="guard_restore", worker="netfilter", arguments={"times": "int", "per_s": "float"})


class Clock:
    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0


def ran(event: Event, settings: GuardSettings) -> list[tuple[Command, str]]:
    done: list[tuple[Command, str]] = []
    responder = Responder(
        (),
        {"guard_restore": RESTORE},
        lambda _, command, rule, __: done.append((command, rule)),
        Clock(),
        lambda: "id",
        rules(settings),
    )
    responder.respond([Envelope(id="e", agent="a", lane=event.lane, seq=1, event=event)])
    return done


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("firewall.ruleset_flushed", {"table": "the whole ruleset"}),
        ("firewall.policy_opened", {"table": "inet filter"}),
        ("firewall.table_changed", {"change": "removed", "flags": ""}),
        ("firewall.filtering_lost", {"filtering": "open"}),
        ("firewall.chain_emptied", {"table": "inet filter", "policy": "accept"}),
        ("firewall.rule_removed", {"table": "inet holdfast"}),
        ("firewall.rule_added", {"table": "inet holdfast"}),
        ("firewall.ruleset_replaced", {"table": "3 tables"}),
    ],
)
def test_what_opens_the_firewall_is_answered_for_real(kind: str, fields: dict[str, str]) -> None:
    event = Event(kind=kind, key="k", severity=Severity.HIGH, fields=dict(fields))
    ((command, rule),) = ran(event, GuardSettings(enabled=True, at_most=Rate(times=2, per=600.0)))
    assert (command.action, command.dry_run) == ("guard_restore", False)
    assert command.arguments == {"times": 2, "per_s": 600.0}
    assert rule.startswith("guard[")
    assert ran(event, GuardSettings()) == []


def test_a_table_put_to_sleep_is_answered_as_the_collector_tells_it() -> None:
    table = Row(what="table", family="inet", name="filter", table="filter")
    before, after = {"t": table}, {"t": replace(table, text="flags dormant")}
    (event,) = happened(before, after, compare(before, after), 10)
    ((command, _),) = ran(event, GuardSettings(enabled=True))
    assert command.action == "guard_restore"


def test_daily_work_is_not_answered() -> None:
    for kind, fields in (
        ("firewall.table_changed", {"change": "added", "flags": ""}),
        ("firewall.rule_removed", {"table": "inet filter"}),
        ("firewall.rule_added", {"table": "inet filter"}),
    ):
        event = Event(kind=kind, key="k", severity=Severity.LOW, fields=dict(fields))
        assert ran(event, GuardSettings(enabled=True)) == []


def test_the_rules_speak_of_kinds_fields_and_arguments_that_there_are() -> None:
    from agent.references import _rule
    from agent.wiring import vocabulary

    for rule in rules(GuardSettings(enabled=True)):
        assert list(_rule(rule, vocabulary())) == []
