import re
from pathlib import Path

from collectors.traffic.protocols.events import APPLAYER, EVENTS
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Recognised
from collectors.traffic.protocols.registry import _PARSERS, parser_of

ROOM = Path(__file__).resolve().parents[4] / "collectors" / "traffic" / "protocols"


def test_protocols_without_parser_are_recognised_only() -> None:
    made = parser_of("rdp", Conversation(0), Facts(1, 2, (0, 1), (0, 2), False), Limits())
    assert type(made) is Recognised and made.protocol == "rdp"


def test_every_parser_goes_by_its_name() -> None:
    facts = Facts(1, 2, (0, 1), (0, 2), False)
    assert all(kind(Conversation(0), facts, Limits()).protocol == name for name, kind in _PARSERS.items())


def test_events_in_the_code_are_events_that_rules_may_name() -> None:
    """What the dispatcher sets of a conversation as a whole is in the catalogue (the parsers' own are held by the fuzz test)."""
    said = "".join((ROOM / name).read_text() for name in ("conversations.py", "dispatch.py"))
    used = set(re.findall(r'"(applayer_\w+)"', said))
    assert used and used <= APPLAYER and all(EVENTS.values())
