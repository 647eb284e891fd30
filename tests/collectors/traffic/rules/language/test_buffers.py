"""The table of buffers."""

from collectors.traffic.protocols import names
from collectors.traffic.rules.language.buffers import BOTH, BUFFERS, MODIFIERS, STICKY_ALIASES, TO_CLIENT, TO_SERVER
from collectors.traffic.rules.language.protocols import APPLICATION


def test_names_lead_to_buffers_and_buffers_to_protocols() -> None:
    assert set(STICKY_ALIASES.values()) | set(MODIFIERS.values()) <= set(BUFFERS)
    for name, buffer in BUFFERS.items():
        assert buffer.name == name and buffer.direction in {TO_SERVER, TO_CLIENT, BOTH}
        assert buffer.protocol in {"", *APPLICATION}


def test_sides_and_many_values_are_those_of_the_protocols() -> None:
    for name, buffer in BUFFERS.items():
        made = names.BUFFERS.get(name)
        if made is not None:
            assert buffer.several == made.multi, name
            assert buffer.direction == {1: TO_SERVER, 2: TO_CLIENT, 3: BOTH}[made.sides], name
