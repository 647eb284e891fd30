"""Looks that follow an event at once: what it tells of may be gone at the next regular look."""

from collections.abc import Callable, Mapping

from contracts.event import Envelope
from contracts.subjects.senders import SUBJECT as SENDERS
from contracts.subjects.traffic import OUTBOUND_UNUSUAL

FOLLOWS: Mapping[str, str] = {OUTBOUND_UNUSUAL: SENDERS}
"""The subject that is looked at, by the kind of the event. A connection that sends much may end soon (`analysis.outbound` asks for it)."""


def follow_up(envelope: Envelope, changed: Callable[[str, str], None]) -> None:
    """Ask for the look that follows an event, if one does; `changed` takes who asks, and the subject."""
    subject = FOLLOWS.get(envelope.event.kind)
    if subject is not None:
        changed(envelope.event.kind, subject)
