"""Events of the ports collector read as sentences and weigh what they should."""

import pytest

from collectors.ports import events
from contracts.event import Severity
from contracts.subjects.ports import Listener

ROW = Listener(
    protocol="tcp",
    family=4,
    address="0.0.0.0",
    port=22,
    scope="any",
    process="sshd",
    executable="/usr/sbin/sshd",
    user="root",
)


@pytest.mark.parametrize(
    ("fields", "reasons", "severity"),
    [
        ({}, (), Severity.MEDIUM),
        ({"expected": True}, (), Severity.INFORMATIONAL),
        ({"expected": False}, (), Severity.MEDIUM),
        ({"scope": "loopback"}, (), Severity.LOW),
        ({"expected": True}, ("its executable was deleted",), Severity.HIGH),
    ],
)
def test_a_new_listener_weighs_what_it_means(
    fields: dict[str, object], reasons: tuple[str, ...], severity: Severity
) -> None:
    from msgspec.structs import replace

    assert events.opened("tcp/0.0.0.0:22", replace(ROW, **fields), reasons).severity is severity


def test_every_title_can_be_filled_from_its_event() -> None:
    made = [
        events.opened("k", ROW, ()),
        events.closed("k", ROW),
        events.changed("k", ROW, "", ("executable",), False),
        events.ephemeral("k", ROW, ()),
        events.first({"k": ROW}),
        *events.bounded([events.opened("k", ROW, ())] * 3, 2),
    ]
    kinds = {kind.name: kind for kind in events.KINDS}
    titles = [kinds[event.kind].title.format(key=event.key, **event.fields) for event in made]
    assert titles[0] == "New listener tcp 0.0.0.0 port 22: sshd"
    assert titles[2] == "Listener tcp 0.0.0.0 port 22 changed: sshd (/usr/sbin/sshd), was unknown"
    assert len({event.kind for event in made}) == len(events.KINDS)


def test_the_worst_of_many_decides() -> None:
    many = [events.closed("a", ROW), events.opened("b", ROW, ("x",)), events.closed("c", ROW)]
    (one,) = events.bounded(many, 2)
    assert one.severity is Severity.HIGH
    examples = one.fields["examples"]
    assert isinstance(examples, list) and examples[0] == "b"
