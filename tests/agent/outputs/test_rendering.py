"""An event is rendered even when its kind is not known here."""

from collections.abc import Callable

import msgspec

from agent.outputs.rendering import Rendering
from contracts.event import Envelope


def test_a_known_kind_has_its_text(rendering: Rendering, envelope: Callable[..., Envelope]) -> None:
    assert rendering.text(envelope()) == "sshd listens on 22"
    assert rendering.ocsf(envelope())["metadata"]["product"]["version"] == "0.1.0"


def test_an_unknown_kind_is_shown_by_name(rendering: Rendering, envelope: Callable[..., Envelope]) -> None:
    known = envelope()
    newer = msgspec.structs.replace(known, event=msgspec.structs.replace(known.event, kind="newer.thing_happened"))
    assert rendering.text(newer) == "newer.thing_happened: tcp/22"
    assert rendering.ocsf(newer)["metadata"]["event_code"] == "newer.thing_happened"
